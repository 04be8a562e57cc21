//! Owns the properties that every event has, set by hand while the daemon runs (`udevadm control --property`): rules see
//! them where the device has none of that name, and no record keeps them.

use std::sync::{PoisonError, RwLock};

use bstr::{BStr, BString};

use crate::properties::{Properties, PropertyError};

/// The properties; shared by all events.
#[derive(Debug, Default)]
pub struct Globals(RwLock<Properties>);

impl Globals {
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<BString> {
        let properties = self.0.read().unwrap_or_else(PoisonError::into_inner);
        properties.get(key).map(ToOwned::to_owned)
    }

    /// Sets `key`, or takes it away. A bad key or value is refused and changes nothing.
    pub fn set(&self, key: &BStr, value: Option<&BStr>) -> Result<(), PropertyError> {
        let mut properties = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => properties.set(key, value),
            None => {
                properties.remove(key);
                Ok(())
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> Properties {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes all away.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Properties::new();
    }
}
