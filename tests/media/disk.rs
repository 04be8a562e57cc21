//! Images as loop devices, made by the system's own tools and taken away when dropped.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An image that is not attached yet.
pub(crate) struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    /// Zeros.
    pub(crate) fn new(bytes: u64) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        File::create(image.path()).unwrap().set_len(bytes).unwrap();
        image
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Runs a program of this machine on the image; `IMAGE` stands for it.
    #[must_use]
    pub(crate) fn by(self, command: &str) -> Self {
        run(command, &self.path());
        self
    }

    /// Has sfdisk write a table.
    #[must_use]
    pub(crate) fn table(self, script: &str) -> Self {
        let mut sfdisk = Command::new("sfdisk");
        let sfdisk = sfdisk.arg("-q").arg(self.path()).env("PATH", path()).stdin(Stdio::piped());
        let mut child = sfdisk.spawn().expect("sfdisk");
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "sfdisk: {script}");
        self
    }

    /// Writes bytes.
    #[must_use]
    pub(crate) fn write(self, at: u64, bytes: &[u8]) -> Self {
        let mut file = fs::OpenOptions::new().write(true).open(self.path()).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
        self
    }

    /// Attaches it; its partitions too.
    pub(crate) fn attach(self) -> Disk {
        let output = Command::new("losetup")
            .args(["--find", "--show", "--partscan"])
            .arg(self.path())
            .env("PATH", path())
            .output()
            .expect("losetup");
        let node = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(output.status.success(), "losetup: {}", String::from_utf8_lossy(&output.stderr));
        // a kernel may have been built without the parsers of tables; what it has found itself stays
        let _no_table = Command::new("partx")
            .args(["--update", &node])
            .env("PATH", path())
            .stderr(Stdio::null())
            .status();
        Disk { name: node.strip_prefix("/dev/").unwrap().to_owned(), image: self }
    }
}

/// An attached image.
pub(crate) struct Disk {
    /// `loopN`.
    pub(crate) name: String,
    image: Image,
}

impl Disk {
    /// The name of a partition.
    pub(crate) fn part(&self, number: u32) -> String {
        format!("{}p{number}", self.name)
    }

    /// Runs a program on a node of this disk; `IMAGE` stands for it.
    pub(crate) fn by(&self, part: &str, command: &str) {
        run(command, &Path::new("/dev").join(part));
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let node = format!("/dev/{}", self.name);
        let _gone = Command::new("losetup").args(["-d", &node]).env("PATH", path()).status();
    }
}

fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// True when this machine has the program.
pub(crate) fn has(program: &str) -> bool {
    path().split(':').any(|dir| Path::new(dir).join(program).exists())
}

fn run(command: &str, image: &Path) {
    let image = image.to_str().unwrap();
    let words: Vec<&str> =
        command.split_whitespace().map(|word| if word == "IMAGE" { image } else { word }).collect();
    let output = Command::new(words[0]).args(&words[1..]).env("PATH", path()).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Why loop devices can't be made here.
pub(crate) fn no_disks() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("attaching images needs root");
    }
    (!Path::new("/dev/loop-control").exists()).then_some("no loop driver: modprobe loop")
}
