//! Filter: which dead letters a command is for.

use crate::cli::remote::Target;
use crate::event::EventId;
use crate::journal::archive::{BadDeliveryId, DeliveryId};

/// Options that every command about several dead letters takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Filter {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Only of this event type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,
    /// Only for this sink; "" means those that died before a sink was chosen
    #[arg(long, value_name = "NAME")]
    pub(super) sink: Option<String>,
    /// Only of this route
    #[arg(long, value_name = "NAME")]
    pub(super) route: Option<String>,
    /// Only with this cause, as `list` shows it: http_503, plugin_reject, sink_gone ...
    #[arg(long, value_name = "CODE")]
    pub(super) cause: Option<String>,
    /// Only those that died since then: an age (15m, 2h) or a time (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only those that died before then: an age or a time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
}

impl Filter {
    /// True if it takes every dead letter.
    pub(super) fn is_empty(&self) -> bool {
        self.values().iter().all(|(_, value)| value.is_none())
    }

    /// `target` narrowed to these dead letters.
    pub(super) fn narrow(&self, target: Target) -> Target {
        self.values()
            .into_iter()
            .fold(target, |target, (name, value)| target.maybe(name, value))
    }

    fn values(&self) -> [(&'static str, Option<&str>); 7] {
        [
            ("source", self.source.as_deref()),
            ("type", self.kind.as_deref()),
            ("sink", self.sink.as_deref()),
            ("route", self.route.as_deref()),
            ("cause", self.cause.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ]
    }
}

/// What a person calls dead letters by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// One of them.
    One(DeliveryId),
    /// All of an event.
    OfEvent(EventId),
}

impl std::str::FromStr for Id {
    type Err = BadDeliveryId;

    fn from_str(text: &str) -> Result<Self, BadDeliveryId> {
        match text.parse() {
            Ok(event) => Ok(Self::OfEvent(event)),
            Err(_) => text.parse().map(Self::One),
        }
    }
}
