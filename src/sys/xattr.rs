//! Owns extended attributes of what an `O_PATH` descriptor stands for, by way of procfs.
//!
//! Never knows what an attribute means.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// The longest value that is read: the kernel's limit.
const VALUE_MAX: usize = 64 * 1024;

fn place(file: impl AsFd) -> Result<CString, Errno> {
    CString::new(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).map_err(|_| Errno::EINVAL)
}

/// The value of attribute `name`; `None` if it is not set, or the file system has no attributes.
pub fn get(file: impl AsFd, name: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    let path = place(&file)?;
    let mut value = vec![0_u8; VALUE_MAX];
    // SAFETY: both strings are NUL-terminated, and the buffer is as long as said
    let result =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match Errno::result(result) {
        Ok(length) => {
            value.truncate(usize::try_from(length).map_err(|_| Errno::EINVAL)?);
            Ok(Some(value))
        }
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Sets attribute `name`.
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let path = place(&file)?;
    // SAFETY: both strings are NUL-terminated, and the value is as long as said
    let result =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(result).map(drop)
}
