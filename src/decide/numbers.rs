//! Owns the numbers of `$index` as rules see them: those of the state directory.

use super::effects::IndexNumbers;
use crate::rules::host::HostError;
use crate::store::index::Indexes;

impl IndexNumbers for Indexes {
    /// A number that can't be kept is given all the same: a name that holds until the next start beats none.
    fn number(&self, pool: &str, identity: &[u8]) -> Result<u32, HostError> {
        let number = Indexes::number(self, pool.as_bytes(), identity);
        if let Err(error) = number.kept {
            tracing::warn!(%error, pool, "a number of `index` holds only until the next start");
        }
        Ok(number.value)
    }

    fn foresee(&self, pool: &str, identity: &[u8]) -> Result<u32, HostError> {
        Ok(self.would_be(pool.as_bytes(), identity))
    }
}
