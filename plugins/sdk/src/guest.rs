//! The component's side of the contract: generated bindings, and the way between their types and ours.
//! The transformer's are here, the verifier's in [`verifier`].
//!
//! Compiled for WebAssembly only. Conversions move strings and buffers; no body is copied.

pub(crate) mod verifier;

use std::cell::OnceCell;

use crate::{Event, Failure, Header, Message, Outcome, Plugin, config};

/// Generated from `wit/`.
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated from the contract, which carries the documentation"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/since_v0_1_0",
        inline: "
            package hookswitch:sdk;
            world handling {
                import hookswitch:plugin/log@0.1.0;
                import hookswitch:plugin/config@0.1.0;
                import hookswitch:plugin/clock@0.1.0;
                import hookswitch:plugin/state@0.1.0;
                export hookswitch:plugin/transform@0.1.0;
            }
        ",
        world: "hookswitch:sdk/handling",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookswitch::__private::bindings",
    });
}

/// The part of the contract that both roles export. A component has the worlds of what its `register!` names,
/// merged; imports that it does not use fall away.
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated from the contract, which carries the documentation"
)]
pub mod life_bindings {
    wit_bindgen::generate!({
        path: "../../wit/since_v0_1_0",
        inline: "
            package hookswitch:sdk;
            world living {
                export hookswitch:plugin/lifecycle@0.1.0;
            }
        ",
        world: "hookswitch:sdk/living",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookswitch::__private::life_bindings",
    });
}

use bindings::exports::hookswitch::plugin::transform as exported;
use bindings::hookswitch::plugin::{clock, config as host_config, log as host_log, types};

/// Gives a plugin the exports of a component; the body of `register!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __hookswitch_exports {
    ($plugin:ty) => {
        ::std::thread_local! {
            static PLUGIN: ::std::cell::OnceCell<$plugin> = const { ::std::cell::OnceCell::new() };
        }

        struct Component;

        impl $crate::__private::life_bindings::exports::hookswitch::plugin::lifecycle::Guest for Component {
            fn validate(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::__private::validate::<$plugin>(&config)
            }
        }

        impl $crate::__private::bindings::exports::hookswitch::plugin::transform::Guest for Component {
            fn handle(
                event: $crate::__private::bindings::exports::hookswitch::plugin::transform::Event,
            ) -> ::std::result::Result<
                $crate::__private::bindings::exports::hookswitch::plugin::transform::Outcome,
                $crate::__private::bindings::exports::hookswitch::plugin::transform::Failure,
            > {
                PLUGIN.with(|plugin| $crate::__private::handle(plugin, event))
            }
        }

        $crate::__private::life_bindings::export!(Component with_types_in $crate::__private::life_bindings);
        $crate::__private::bindings::export!(Component with_types_in $crate::__private::bindings);
    };
}

/// `lifecycle.validate`
pub fn validate<P: Plugin>(json: &str) -> Result<(), String> {
    match config::configure::<P>(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// `transform.handle`; makes the plugin at the instance's first call.
pub fn handle<P: Plugin>(
    plugin: &OnceCell<P>,
    event: exported::Event,
) -> Result<exported::Outcome, exported::Failure> {
    let plugin = match plugin.get() {
        Some(plugin) => plugin,
        None => {
            let made = config::configure::<P>(&host_config::get())
                .map_err(|error| exported::Failure::Other(format!("bad config: {error}")))?;
            plugin.get_or_init(|| made)
        }
    };
    match plugin.handle(event.into()) {
        Ok(outcome) => Ok(outcome.into()),
        Err(failure) => Err(failure.into()),
    }
}

/// Writes a line to the host's log.
pub(crate) fn log(level: crate::log::Level, line: &str) {
    let level = match level {
        crate::log::Level::Debug => host_log::Level::Debug,
        crate::log::Level::Info => host_log::Level::Info,
        crate::log::Level::Warn => host_log::Level::Warn,
        crate::log::Level::Error => host_log::Level::Error,
    };
    host_log::write(level, line);
}

/// The host's frozen clock.
pub(crate) fn now_ms() -> u64 {
    clock::now_ms()
}

/// The host's store, with our error.
pub(crate) mod state {
    use super::bindings::hookswitch::plugin::state as host;
    use crate::state::Error;

    fn ours(error: host::Error) -> Error {
        match error {
            host::Error::Denied => Error::Denied,
            host::Error::TooLarge(what) => Error::TooLarge(what),
            host::Error::NotANumber => Error::NotANumber,
            host::Error::Unavailable(why) => Error::Unavailable(why),
        }
    }

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        host::get(key).map_err(ours)
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
        host::set(key, value, ttl_ms).map_err(ours)
    }

    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        host::delete(key).map_err(ours)
    }

    pub(crate) fn increment(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
        host::increment(key, delta, ttl_ms).map_err(ours)
    }

    pub(crate) fn compare_and_set(
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<bool, Error> {
        host::compare_and_set(key, expected, value, ttl_ms).map_err(ours)
    }
}

impl From<types::Header> for Header {
    fn from(header: types::Header) -> Self {
        Self {
            name: header.name,
            value: header.value,
        }
    }
}

impl From<Header> for types::Header {
    fn from(header: Header) -> Self {
        Self {
            name: header.name,
            value: header.value,
        }
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        Self {
            id: event.id,
            source: event.source,
            provider: event.provider,
            provider_event_id: event.provider_event_id,
            event_type: event.event_type,
            received_at_ms: event.received_at,
            method: event.method,
            path: event.path,
            query: event.query,
            headers: event.headers.into_iter().map(Header::from).collect(),
            content_type: event.content_type,
            body: event.body,
            attempt: event.attempt,
            attributes: event.attributes,
        }
    }
}

impl From<Message> for types::Message {
    fn from(message: Message) -> Self {
        Self {
            sink: message.sink,
            key: message.key,
            event_type: message.event_type,
            content_type: message.content_type,
            headers: message
                .headers
                .into_iter()
                .map(types::Header::from)
                .collect(),
            body: message.body,
            attributes: message.attributes,
        }
    }
}

impl From<Outcome> for types::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Forward(messages) => {
                Self::Forward(messages.into_iter().map(types::Message::from).collect())
            }
            Outcome::Drop(reason) => Self::Drop(reason),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Reject(reason) => Self::Reject(reason),
            Failure::Retry { after, reason } => Self::Retry(types::RetryHint {
                after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                reason,
            }),
            Failure::Other(reason) => Self::Other(reason),
        }
    }
}
