//! Owns libudev monitor messages. (to come)
