//! The verifier's exports. It logs through the transformer's bindings: the import is the same.

use std::time::Duration;

use crate::config;
use crate::verify::{Context, Coverage, Rejection, Request, Verified, Verifier};

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
            world judging {
                export hookswitch:plugin/verify@0.1.0;
            }
        ",
        world: "hookswitch:sdk/judging",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookswitch::__private::verifier_bindings",
    });
}

use bindings::exports::hookswitch::plugin::verify as exported;
use bindings::hookswitch::plugin::types;

/// Gives a verifier the exports of a component; the body of `register_verifier!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __hookswitch_verifier_exports {
    ($verifier:ty) => {
        struct Component;

        impl $crate::__private::life_bindings::exports::hookswitch::plugin::lifecycle::Guest for Component {
            fn validate(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                $crate::__private::validate_verifier::<$verifier>(&config)
            }
        }

        impl $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Guest for Component {
            fn check(
                context: $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Context,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $crate::__private::check::<$verifier>(context)
            }

            fn verify(
                request: $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Request,
                context: $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Context,
            ) -> ::std::result::Result<
                $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Verified,
                $crate::__private::verifier_bindings::exports::hookswitch::plugin::verify::Rejection,
            > {
                $crate::__private::verify::<$verifier>(request, context)
            }
        }

        $crate::__private::life_bindings::export!(Component with_types_in $crate::__private::life_bindings);
        $crate::__private::verifier_bindings::export!(Component with_types_in $crate::__private::verifier_bindings);
    };
}

/// `lifecycle.validate`
pub fn validate<V: Verifier>(json: &str) -> Result<(), String> {
    match config::configure_verifier::<V>(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// `verify.check`
pub fn check<V: Verifier>(context: exported::Context) -> Result<(), String> {
    let verifier =
        config::configure_verifier::<V>(&context.config).map_err(|error| error.to_string())?;
    verifier
        .check(&context.into())
        .map_err(|error| error.to_string())
}

/// `verify.verify`
pub fn verify<V: Verifier>(
    request: exported::Request,
    context: exported::Context,
) -> Result<exported::Verified, exported::Rejection> {
    let verdict = match config::configure_verifier::<V>(&context.config) {
        Ok(verifier) => verifier.verify(&request.into(), &context.into()),
        // The host has validated it, so this is another host or a bug. No verdict: the sender tries again.
        Err(error) => {
            crate::log::error!("bad config: {error}");
            std::process::abort()
        }
    };
    match verdict {
        Ok(verified) => Ok(verified.into()),
        Err(rejection) => Err(rejection.into()),
    }
}

impl From<exported::Request> for Request {
    fn from(request: exported::Request) -> Self {
        let headers = request.headers.into_iter();
        Self {
            method: request.method,
            target: request.target,
            headers: headers
                .map(|types::Header { name, value }| crate::Header { name, value })
                .collect(),
            body: request.body,
        }
    }
}

impl From<exported::Context> for Context {
    fn from(context: exported::Context) -> Self {
        Self {
            source: context.source,
            now_ms: context.now_ms,
            secrets: context.secrets,
            params: context.params,
            tolerance: context.tolerance_ms.map(Duration::from_millis),
            public_url: context.public_url,
        }
    }
}

impl From<Verified> for exported::Verified {
    fn from(verified: Verified) -> Self {
        Self {
            coverage: match verified.coverage {
                Coverage::Full => exported::Coverage::Full,
                Coverage::Partial => exported::Coverage::Partial,
                Coverage::None => exported::Coverage::None,
            },
            event_id: verified.event_id,
            event_type: verified.event_type,
            credentials: verified.credentials,
            attributes: verified.attributes,
        }
    }
}

impl From<Rejection> for exported::Rejection {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: rejection.code.into_owned(),
            detail: rejection.detail,
        }
    }
}
