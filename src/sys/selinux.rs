//! Owns libselinux, opened at run time where SELinux is on: which label the policy wants for a file of a path.
//!
//! The functions and their types are those of selabel_open(3) and selabel_lookup(3). Never labels anything.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use bstr::BString;
use libloading::Library;
use nix::errno::Errno;

/// The library's name with the version of its interface.
const LIBRARY: &str = "libselinux.so.1";
/// `SELABEL_CTX_FILE`: labels of files.
const FILES: c_uint = 0;

type Pointer = *mut c_void;
type Open = unsafe extern "C" fn(c_uint, *const c_void, c_uint) -> Pointer;
type Lookup = unsafe extern "C" fn(Pointer, *mut *mut c_char, *const c_char, c_int) -> c_int;

/// The policy's labels of files.
pub struct FileLabels {
    handle: NonNull<c_void>,
    lookup: Lookup,
    free: unsafe extern "C" fn(*mut c_char),
    close: unsafe extern "C" fn(Pointer),
    /// Has to outlive all that came from it.
    _library: Library,
}

// SAFETY: what selabel_open(3) gives belongs to no thread; `&self` alone is never shared, since this is not `Sync`
unsafe impl Send for FileLabels {}

impl std::fmt::Debug for FileLabels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLabels").finish_non_exhaustive()
    }
}

/// Why nothing is known of labels where SELinux is on.
#[derive(Debug, thiserror::Error)]
pub enum SelinuxError {
    /// The library is not there, or lacks something.
    #[error("libselinux can't be used: {0}")]
    Library(#[from] libloading::Error),
    /// It has no labels: `ENOENT` without a policy.
    #[error("libselinux finds no labels of files: {0}")]
    Policy(Errno),
}

impl FileLabels {
    /// Opens the library and the labels of the policy that is loaded; `None` where the kernel has SELinux off.
    pub fn open() -> Result<Option<Self>, SelinuxError> {
        // SAFETY: what libselinux runs when it is opened looks for its file system and its policy, and touches nothing here
        let library = unsafe { Library::new(LIBRARY) }?;
        // SAFETY: the type is that of the library's header
        let enabled = *unsafe { library.get::<unsafe extern "C" fn() -> c_int>(b"is_selinux_enabled\0") }?;
        // SAFETY: takes nothing
        if unsafe { enabled() } != 1 {
            return Ok(None);
        }
        // SAFETY: the type is that of the library's header
        let open = *unsafe { library.get::<Open>(b"selabel_open\0") }?;
        // SAFETY: the same
        let lookup = *unsafe { library.get::<Lookup>(b"selabel_lookup_raw\0") }?;
        // SAFETY: the same
        let free = *unsafe { library.get::<unsafe extern "C" fn(*mut c_char)>(b"freecon\0") }?;
        // SAFETY: the same
        let close = *unsafe { library.get::<unsafe extern "C" fn(Pointer)>(b"selabel_close\0") }?;
        // SAFETY: no options, so that none are read
        let handle = unsafe { open(FILES, ptr::null(), 0) };
        let handle = NonNull::new(handle).ok_or_else(|| SelinuxError::Policy(Errno::last()))?;
        Ok(Some(Self { handle, lookup, free, close, _library: library }))
    }

    /// The label of what is at `path` and has that mode with its kind (`st_mode` of stat(2)); `None`: the policy has none.
    pub fn of(&self, path: &[u8], mode: u32) -> Option<BString> {
        let (path, mode) = (CString::new(path).ok()?, c_int::try_from(mode).ok()?);
        let mut label: *mut c_char = ptr::null_mut();
        // SAFETY: the handle is open, the path a C string, and the label's place is ours
        let result = unsafe { (self.lookup)(self.handle.as_ptr(), &raw mut label, path.as_ptr(), mode) };
        if result != 0 || label.is_null() {
            return None;
        }
        // SAFETY: a C string that is ours until it is freed
        let text = unsafe { CStr::from_ptr(label) }.to_bytes().into();
        // SAFETY: it came from the look-up and is not used again
        unsafe { (self.free)(label) };
        Some(text)
    }
}

impl Drop for FileLabels {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used again
        unsafe { (self.close)(self.handle.as_ptr()) };
    }
}
