//! What a plugin sees of the host in a native test: one world per call, held by the calling thread.
//!
//! Outside of [`Host::handle`](super::Host::handle) there is none: the log goes nowhere, the clock shows
//! 0 and the store denies.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::log::Level;
use crate::state::Error;

/// Limits of the contract.
const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 * 1024;
const LINE_BYTES_MAX: usize = 4096;

/// A stored value and the time from which it is forgotten.
#[derive(Clone, Debug)]
struct Entry {
    value: Vec<u8>,
    expires_ms: Option<u64>,
}

/// Log, clock and store.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) log: Vec<String>,
    /// The frozen clock of the call.
    pub(crate) now_ms: u64,
    pub(crate) state_granted: bool,
    state: BTreeMap<String, Entry>,
}

thread_local! {
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Runs `call` in `world`.
pub(crate) fn within<T>(world: &RefCell<World>, call: impl FnOnce() -> T) -> T {
    /// Takes the world back out, also when the plugin panics.
    struct Restore<'w> {
        world: &'w RefCell<World>,
        before: Option<World>,
    }
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            let used = CURRENT.with(|current| current.replace(self.before.take()));
            self.world.replace(used.unwrap_or_default());
        }
    }
    let before = CURRENT.with(|current| current.replace(Some(world.take())));
    let _restore = Restore { world, before };
    call()
}

fn with<T>(absent: T, call: impl FnOnce(&mut World) -> T) -> T {
    CURRENT.with(|current| current.borrow_mut().as_mut().map_or(absent, call))
}

pub(crate) fn log(level: Level, line: &str) {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let end = line.floor_char_boundary(LINE_BYTES_MAX);
    let line = line.get(..end).unwrap_or_default();
    with((), |world| world.log.push(format!("{level}: {line}")));
}

pub(crate) fn now_ms() -> u64 {
    with(0, |world| world.now_ms)
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    store(|world| Ok(world.read(key)))
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    store(|world| world.write(key, value, ttl_ms))
}

pub(crate) fn delete(key: &str) -> Result<(), Error> {
    store(|world| {
        world.state.remove(key);
        Ok(())
    })
}

pub(crate) fn increment(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
    store(|world| {
        let before = match world.read(key) {
            None => 0,
            Some(value) => std::str::from_utf8(&value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
                .ok_or(Error::NotANumber)?,
        };
        let sum = before.checked_add(delta).ok_or(Error::NotANumber)?;
        world.write(key, sum.to_string().as_bytes(), ttl_ms)?;
        Ok(sum)
    })
}

pub(crate) fn compare_and_set(
    key: &str,
    expected: Option<&[u8]>,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<bool, Error> {
    store(|world| {
        let same = world.read(key).as_deref() == expected;
        if same {
            world.write(key, value, ttl_ms)?;
        }
        Ok(same)
    })
}

fn store<T>(call: impl FnOnce(&mut World) -> Result<T, Error>) -> Result<T, Error> {
    with(Err(Error::Denied), |world| {
        if world.state_granted {
            call(world)
        } else {
            Err(Error::Denied)
        }
    })
}

impl World {
    pub(crate) fn read(&self, key: &str) -> Option<Vec<u8>> {
        let entry = self.state.get(key);
        let live = entry.filter(|entry| entry.expires_ms.is_none_or(|end| self.now_ms < end));
        live.map(|entry| entry.value.clone())
    }

    fn write(&mut self, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::TooLarge(format!(
                "a key has {} bytes, at most {KEY_BYTES_MAX}",
                key.len()
            )));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::TooLarge(format!(
                "a value has {} bytes, at most {VALUE_BYTES_MAX}",
                value.len()
            )));
        }
        let entry = Entry {
            value: value.to_vec(),
            expires_ms: ttl_ms.map(|ttl| self.now_ms.saturating_add(ttl)),
        };
        self.state.insert(key.to_owned(), entry);
        Ok(())
    }
}
