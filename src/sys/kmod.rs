//! Owns libkmod, opened at run time: a machine without it loads no modules and loses nothing else.
//!
//! The functions and their types are those of `libkmod.h`, whose interface has not changed since its first version. One
//! [`Kmod`] belongs to one thread. Never decides what is loaded.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};

use libloading::Library;
use nix::errno::Errno;

/// The library's name with the version of its interface.
const LIBRARY: &str = "libkmod.so.2";
/// `KMOD_PROBE_APPLY_BLACKLIST`: what is denied in `modprobe.d` is left alone.
const APPLY_DENYLIST: c_uint = 0x20000;
/// `KMOD_MODULE_BUILTIN` and `KMOD_MODULE_LIVE`.
const BUILTIN: c_int = 0;
const LIVE: c_int = 1;
/// `KMOD_RESOURCES_OK`.
const RESOURCES_OK: c_int = 0;

type Pointer = *mut c_void;
type Callback = Option<unsafe extern "C" fn()>;

/// The functions that are used.
struct Functions {
    unref: unsafe extern "C" fn(Pointer) -> Pointer,
    load_resources: unsafe extern "C" fn(Pointer) -> c_int,
    validate_resources: unsafe extern "C" fn(Pointer) -> c_int,
    lookup: unsafe extern "C" fn(Pointer, *const c_char, *mut Pointer) -> c_int,
    next: unsafe extern "C" fn(Pointer, Pointer) -> Pointer,
    module: unsafe extern "C" fn(Pointer) -> Pointer,
    name: unsafe extern "C" fn(Pointer) -> *const c_char,
    state: unsafe extern "C" fn(Pointer) -> c_int,
    #[allow(clippy::type_complexity, reason = "a type of the library's")]
    insert: unsafe extern "C" fn(Pointer, c_uint, *const c_char, Callback, *const c_void, Callback) -> c_int,
    unref_module: unsafe extern "C" fn(Pointer) -> Pointer,
    unref_list: unsafe extern "C" fn(Pointer) -> c_int,
}

/// The library with its index of modules.
pub struct Kmod {
    context: NonNull<c_void>,
    functions: Functions,
    /// Has to outlive all that came from it.
    _library: Library,
}

impl std::fmt::Debug for Kmod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kmod").finish_non_exhaustive()
    }
}

/// Why modules can't be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum KmodError {
    /// The library is not there, or lacks something.
    #[error("libkmod can't be used: {0}")]
    Library(#[from] libloading::Error),
    /// It does not begin.
    #[error("libkmod does not begin: it found no memory, or the directory of modules has an odd name")]
    Begin,
}

/// What became of one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is in the kernel now.
    Loaded,
    /// It was before.
    Present,
    /// The denylist has it.
    Denied,
    /// The kernel did not take it.
    Failed(Errno),
}

impl Kmod {
    /// Opens the library and its index of the modules below `modules`; `None` is the running kernel's own directory.
    pub fn open(modules: Option<&Path>) -> Result<Self, KmodError> {
        let directory = modules.map(|path| CString::new(path.as_os_str().as_bytes())).transpose();
        let directory = directory.map_err(|_| KmodError::Begin)?;
        // SAFETY: libkmod has no code that runs when it is opened
        let library = unsafe { Library::new(LIBRARY) }?;
        let functions = Functions::of(&library)?;
        type New = unsafe extern "C" fn(*const c_char, *const *const c_char) -> Pointer;
        // SAFETY: the type is that of the library's header
        let new = *unsafe { library.get::<New>(b"kmod_new\0") }?;
        let directory = directory.as_ref().map_or(ptr::null(), |path| path.as_ptr());
        // SAFETY: the path is null or a C string that outlives the call; no configuration means the standard one
        let context = NonNull::new(unsafe { new(directory, ptr::null()) }).ok_or(KmodError::Begin)?;
        let kmod = Self { context, functions, _library: library };
        // SAFETY: the context is open. What it answers does not matter: without an index every look-up reads the files
        unsafe { (kmod.functions.load_resources)(kmod.context.as_ptr()) };
        Ok(kmod)
    }

    /// True while the index and the configuration are those of the disk.
    pub fn is_current(&self) -> bool {
        // SAFETY: the context is open
        let state = unsafe { (self.functions.validate_resources)(self.context.as_ptr()) };
        state == RESOURCES_OK
    }

    /// Loads all modules that `name`, a module's name or an alias, stands for: each module's name with what became of it.
    /// None is no error. Error: the name can't be looked up.
    pub fn load(&self, name: &[u8]) -> Result<Vec<(String, Inserted)>, Errno> {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let mut list: Pointer = ptr::null_mut();
        // SAFETY: the context is open, the name a C string, and the list's place is ours
        let result = unsafe { (self.functions.lookup)(self.context.as_ptr(), name.as_ptr(), &raw mut list) };
        if result < 0 {
            return Err(Errno::from_raw(-result));
        }
        let mut out = Vec::new();
        let mut at = list;
        while !at.is_null() {
            out.push(self.insert(at));
            // SAFETY: both are of one list that is freed below
            at = unsafe { (self.functions.next)(list, at) };
        }
        if !list.is_null() {
            // SAFETY: the list came from the look-up and is not used again
            unsafe { (self.functions.unref_list)(list) };
        }
        Ok(out)
    }

    fn insert(&self, entry: Pointer) -> (String, Inserted) {
        // SAFETY: the entry is of a list that lives
        let module = unsafe { (self.functions.module)(entry) };
        if module.is_null() {
            return (String::new(), Inserted::Failed(Errno::ENOMEM));
        }
        // SAFETY: the module is counted for us
        let name = unsafe { (self.functions.name)(module) };
        let name = if name.is_null() {
            String::new()
        } else {
            // SAFETY: the name is a C string that lives as long as the module
            unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
        };
        // SAFETY: the module is counted for us
        let state = unsafe { (self.functions.state)(module) };
        let inserted = match state {
            BUILTIN | LIVE => Inserted::Present,
            _ => {
                let none = (ptr::null(), ptr::null());
                // SAFETY: the module is counted for us; no options and no callbacks is what null means
                match unsafe { (self.functions.insert)(module, APPLY_DENYLIST, none.0, None, none.1, None) } {
                    0 => Inserted::Loaded,
                    // the reason of the flags that were given
                    1.. => Inserted::Denied,
                    error => match Errno::from_raw(-error) {
                        Errno::EEXIST => Inserted::Present,
                        errno => Inserted::Failed(errno),
                    },
                }
            }
        };
        // SAFETY: given back once, and not used again
        unsafe { (self.functions.unref_module)(module) };
        (name, inserted)
    }
}

impl Drop for Kmod {
    fn drop(&mut self) {
        // SAFETY: the context is given back once; the library is closed after this
        unsafe { (self.functions.unref)(self.context.as_ptr()) };
    }
}

impl Functions {
    fn of(library: &Library) -> Result<Self, libloading::Error> {
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the type, which is that of the field, is that of the library's header
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }?
            };
        }
        Ok(Self {
            unref: symbol!("kmod_unref"),
            load_resources: symbol!("kmod_load_resources"),
            validate_resources: symbol!("kmod_validate_resources"),
            lookup: symbol!("kmod_module_new_from_lookup"),
            next: symbol!("kmod_list_next"),
            module: symbol!("kmod_module_get_module"),
            name: symbol!("kmod_module_get_name"),
            state: symbol!("kmod_module_get_initstate"),
            insert: symbol!("kmod_module_probe_insert_module"),
            unref_module: symbol!("kmod_module_unref"),
            unref_list: symbol!("kmod_module_unref_list"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_that_name_is_no_error() {
        let temp = tempfile::tempdir().unwrap();
        match Kmod::open(Some(temp.path())) {
            Err(KmodError::Library(error)) => crate::skipping::skip(&error.to_string()),
            Err(error) => panic!("{error}"),
            Ok(kmod) => {
                // systemd takes what libkmod says of a missing index for "no such module" as well
                for name in [&b"no_such_module"[..], b"pci:v00000000d00000000sv*", b""] {
                    let found = kmod.load(name).unwrap_or_default();
                    let loaded = found.iter().filter(|(_, what)| *what == Inserted::Loaded).count();
                    assert_eq!(loaded, 0, "{found:?}");
                }
                assert_eq!(kmod.load(b"a\0b"), Err(Errno::EINVAL));
                let _either = kmod.is_current();
            }
        }
    }
}
