//! Owns calls of libblkid, which is opened at run time: no headers, and a machine without it loses what needs it only.
//!
//! Only for the confined process: libblkid parses what strangers wrote. Values come out as bytes. `libblkid(3)`,
//! `blkid/blkid.h`.

use std::ffi::{CStr, c_char, c_int, c_ulonglong, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{NonNull, null, null_mut};

use bstr::BString;
use libloading::os::unix::Library as Loaded;

/// The name that the library has had since 2009.
const NAME: &str = "libblkid.so.1";

/// `BLKID_SUBLKS_*`: label, UUID, type, second type, usage, version, and (from 2.39 on) sizes.
const SUPERBLOCK_FLAGS: c_int = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11;
/// `BLKID_PARTS_ENTRY_DETAILS`.
const ENTRY_DETAILS: c_int = 1 << 2;
/// `BLKID_FLTR_NOTIN`.
const NOT_IN: c_int = 1;
/// `BLKID_USAGE_RAID`.
const RAID: c_int = 1 << 2;

/// An opaque object of the library's.
type Object = *mut c_void;

/// The library can't be used.
#[derive(Debug, thiserror::Error)]
#[error("libblkid can't be loaded: {0}")]
pub struct LoadError(#[from] libloading::Error);

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the library that are used here, with their C types.
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn find(library: &Loaded) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the type is that of the declaration in blkid.h, which has not changed since it came
                    $($name: *unsafe { library.get(concat!("blkid_", stringify!($name), "\0").as_bytes()) }?,)*
                })
            }
        }
    };
}

functions! {
    new_probe: fn() -> Object;
    free_probe: fn(Object);
    probe_set_device: fn(Object, c_int, i64, i64) -> c_int;
    probe_enable_superblocks: fn(Object, c_int) -> c_int;
    probe_set_superblocks_flags: fn(Object, c_int) -> c_int;
    probe_filter_superblocks_usage: fn(Object, c_int, c_int) -> c_int;
    probe_enable_partitions: fn(Object, c_int) -> c_int;
    probe_set_partitions_flags: fn(Object, c_int) -> c_int;
    do_fullprobe: fn(Object) -> c_int;
    do_safeprobe: fn(Object) -> c_int;
    probe_get_size: fn(Object) -> i64;
    probe_numof_values: fn(Object) -> c_int;
    probe_get_value: fn(Object, c_int, *mut *const c_char, *mut *const c_char, *mut usize) -> c_int;
    probe_get_partitions: fn(Object) -> Object;
    partlist_numof_partitions: fn(Object) -> c_int;
    partlist_get_partition: fn(Object, c_int) -> Object;
    partition_get_name: fn(Object) -> *const c_char;
    partition_get_uuid: fn(Object) -> *const c_char;
    partition_get_type: fn(Object) -> c_int;
    partition_get_type_string: fn(Object) -> *const c_char;
    partition_get_flags: fn(Object) -> c_ulonglong;
    partition_get_partno: fn(Object) -> c_int;
    partition_get_start: fn(Object) -> i64;
    partition_get_size: fn(Object) -> i64;
    partition_is_extended: fn(Object) -> c_int;
    partition_get_table: fn(Object) -> Object;
    parttable_get_type: fn(Object) -> *const c_char;
}

/// `blkid_probe_set_hint`, from 2.37 on.
type SetHint = unsafe extern "C" fn(Object, *const c_char, u64) -> c_int;

/// The library, in memory.
pub struct Library {
    functions: Functions,
    set_hint: Option<SetHint>,
    /// Holds the code in memory.
    _loaded: Loaded,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").finish_non_exhaustive()
    }
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Something was found.
    Found,
    /// There is nothing that the library knows.
    Nothing,
    /// Two kinds of contents are there, and it can't be told which is meant.
    Ambivalent,
    /// Reading failed, or the library had no memory.
    Failed,
}

impl Ended {
    fn of(result: c_int) -> Self {
        match result {
            0 => Ended::Found,
            1 => Ended::Nothing,
            -2 => Ended::Ambivalent,
            _ => Ended::Failed,
        }
    }
}

/// One entry of a partition table. Sizes in sectors of 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The table it is in: `gpt`, `dos`, `bsd` …
    pub scheme: Option<BString>,
    /// Its number, from 1.
    pub number: i64,
    /// Its first sector.
    pub start: i64,
    /// How long it is.
    pub size: i64,
    /// A GPT type UUID, or the number as `0x83`.
    pub kind: BString,
    /// The entry's own UUID.
    pub uuid: Option<BString>,
    /// The entry's name.
    pub name: Option<BString>,
    /// Attribute bits, or the active flag of an MBR.
    pub flags: u64,
    /// It holds other partitions.
    pub extended: bool,
}

impl Library {
    /// Loads it.
    pub fn load() -> Result<Self, LoadError> {
        // SAFETY: the library's initializers do nothing but set up its own data
        let loaded = unsafe { Loaded::new(NAME) }?;
        let functions = Functions::find(&loaded)?;
        // SAFETY: the type is that of the declaration in blkid.h
        let set_hint = unsafe { loaded.get::<SetHint>(b"blkid_probe_set_hint\0") }.ok().map(|symbol| *symbol);
        Ok(Self { functions, set_hint, _loaded: loaded })
    }

    /// A new probe of what can be read through `medium` from `offset` on. `None`: no memory, or the size of it can't
    /// be told.
    pub fn probe<'p>(&'p self, medium: BorrowedFd<'p>, offset: i64) -> Option<Probe<'p>> {
        // SAFETY: takes nothing; what it returns is freed by `Probe::drop`
        let object = NonNull::new(unsafe { (self.functions.new_probe)() })?;
        let probe = Probe { library: self, object, _medium: PhantomData };
        // SAFETY: the object is alive, the descriptor is open as long as the probe
        let set =
            unsafe { (self.functions.probe_set_device)(object.as_ptr(), medium.as_raw_fd(), offset, 0) };
        (set == 0).then_some(probe)
    }
}

/// One probe of one medium.
#[derive(Debug)]
pub struct Probe<'p> {
    library: &'p Library,
    object: NonNull<c_void>,
    _medium: PhantomData<BorrowedFd<'p>>,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `new_probe`, freed once, and nothing borrowed from it outlives `self`
        unsafe { (self.library.functions.free_probe)(self.object.as_ptr()) }
    }
}

impl Probe<'_> {
    /// Gives the library a hint, `NAME=NUMBER`. False: it does not take it, or is too old to take any.
    pub fn hint(&mut self, hint: &CStr) -> bool {
        let Some(set_hint) = self.library.set_hint else { return false };
        // SAFETY: the object is alive; the text is copied
        let set = unsafe { set_hint(self.object.as_ptr(), hint.as_ptr(), 0) };
        set == 0
    }

    /// Members of RAID sets are not looked for.
    pub fn without_raid(&mut self) {
        // SAFETY: the object is alive
        let _no_memory = unsafe {
            (self.library.functions.probe_filter_superblocks_usage)(self.object.as_ptr(), NOT_IN, RAID)
        };
    }

    /// Bytes that can be read.
    pub fn size(&self) -> i64 {
        // SAFETY: the object is alive
        unsafe { (self.library.functions.probe_get_size)(self.object.as_ptr()) }
    }

    /// Looks for a partition table only. True when there is one.
    pub fn has_table(&mut self) -> Result<bool, Ended> {
        self.enable(false);
        // SAFETY: the object is alive and has a device
        match Ended::of(unsafe { (self.library.functions.do_fullprobe)(self.object.as_ptr()) }) {
            Ended::Found | Ended::Nothing => Ok(self.values().iter().any(|(name, _)| name == "PTTYPE")),
            failed => Err(failed),
        }
    }

    /// Looks for everything, and refuses what is ambivalent.
    pub fn run(&mut self) -> Ended {
        // SAFETY: the object is alive
        unsafe { (self.library.functions.probe_set_partitions_flags)(self.object.as_ptr(), ENTRY_DETAILS) };
        // SAFETY: the object is alive
        unsafe {
            (self.library.functions.probe_set_superblocks_flags)(self.object.as_ptr(), SUPERBLOCK_FLAGS)
        };
        self.enable(true);
        // SAFETY: the object is alive and has a device
        Ended::of(unsafe { (self.library.functions.do_safeprobe)(self.object.as_ptr()) })
    }

    /// Partition tables are looked for, superblocks if `superblocks`.
    fn enable(&mut self, superblocks: bool) {
        let functions = &self.library.functions;
        // SAFETY: the object is alive
        unsafe { (functions.probe_enable_partitions)(self.object.as_ptr(), 1) };
        // SAFETY: the object is alive
        unsafe { (functions.probe_enable_superblocks)(self.object.as_ptr(), c_int::from(superblocks)) };
    }

    /// What was found, in the library's order: name and value.
    pub fn values(&self) -> Vec<(BString, BString)> {
        // SAFETY: the object is alive
        let count = unsafe { (self.library.functions.probe_numof_values)(self.object.as_ptr()) };
        (0..count).filter_map(|at| self.value(at)).collect()
    }

    fn value(&self, at: c_int) -> Option<(BString, BString)> {
        let (mut name, mut data, mut len) = (null(), null(), 0);
        // SAFETY: the object is alive, and all three places take what is written there
        let got = unsafe {
            (self.library.functions.probe_get_value)(
                self.object.as_ptr(),
                at,
                &raw mut name,
                &raw mut data,
                &raw mut len,
            )
        };
        if got != 0 || data.is_null() {
            return None;
        }
        let name = text(name)?;
        // SAFETY: the library gives the length of the value, which stays as long as the probe is not run again
        let value = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
        let end = value.iter().position(|&b| b == 0).unwrap_or(len);
        Some((name, value.get(..end)?.into()))
    }

    /// The entries of the partition table; none if there is no table.
    pub fn partitions(&mut self) -> Vec<Partition> {
        let functions = &self.library.functions;
        // SAFETY: the object is alive and has a device
        let list = unsafe { (functions.probe_get_partitions)(self.object.as_ptr()) };
        if list.is_null() {
            return Vec::new();
        }
        // SAFETY: the list belongs to the probe and is alive
        let count = unsafe { (functions.partlist_numof_partitions)(list) };
        (0..count)
            .filter_map(|at| {
                // SAFETY: the list is alive; for a number beyond its end it gives NULL
                NonNull::new(unsafe { (functions.partlist_get_partition)(list, at) })
            })
            .map(|entry| partition(functions, entry.as_ptr()))
            .collect()
    }
}

/// The facts of an entry of a list that is alive.
fn partition(functions: &Functions, entry: Object) -> Partition {
    macro_rules! get {
        ($function:ident) => {
            // SAFETY: the entry is one of a list that is alive
            unsafe { (functions.$function)(entry) }
        };
    }
    let table = get!(partition_get_table);
    let scheme = if table.is_null() {
        null_mut()
    } else {
        // SAFETY: the table belongs to the same list
        unsafe { (functions.parttable_get_type)(table) }.cast_mut()
    };
    let kind = text(get!(partition_get_type_string));
    Partition {
        scheme: text(scheme),
        number: i64::from(get!(partition_get_partno)),
        start: get!(partition_get_start),
        size: get!(partition_get_size),
        kind: kind.unwrap_or_else(|| format!("{:#x}", get!(partition_get_type)).into()),
        uuid: text(get!(partition_get_uuid)),
        name: text(get!(partition_get_name)),
        flags: get!(partition_get_flags),
        extended: get!(partition_is_extended) != 0,
    }
}

/// A text of the library's; `None` for NULL.
fn text(from: *const c_char) -> Option<BString> {
    let from = NonNull::new(from.cast_mut())?;
    // SAFETY: the library gives NULL or a text with an end, which stays as long as its object
    let text = unsafe { CStr::from_ptr(from.as_ptr()) };
    Some(text.to_bytes().into())
}
