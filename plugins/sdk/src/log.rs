//! Lines for the operator's log: `log::info!("...")` and its sisters.
//!
//! The host caps number, rate and size (4096 bytes a line) and counts what it leaves out. Never log
//! personal data.
//!
//! ```
//! use hookswitch::log;
//!
//! log::warn!("{} items, only the first is used", 3);
//! ```

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Somebody should look at it some day.
    Warn,
    /// Somebody should look at it now.
    Error,
}

/// Writes one line.
pub fn write(level: Level, line: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::guest::log(level, line);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::world::log(level, line);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($part:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, &::std::format!($($part)+))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($part:tt)+) => {
        $crate::log::write($crate::log::Level::Info, &::std::format!($($part)+))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($part:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, &::std::format!($($part)+))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($part:tt)+) => {
        $crate::log::write($crate::log::Level::Error, &::std::format!($($part)+))
    };
}

#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn,
};
