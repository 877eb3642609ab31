//! Sinks as the admin API shows and orders them.

use crate::admin::view::{self, LastError};
use crate::config::{self, SinkKind};
use crate::delivery::SinkStatus;

/// The view of a sink.
#[must_use]
pub(super) fn view(config: &config::Sink, status: &SinkStatus) -> view::Sink {
    let lane = &status.lane;
    view::Sink {
        name: config.name.to_string(),
        kind: match config.kind {
            SinkKind::Kafka(_) => "kafka",
            SinkKind::RabbitMq(_) => "rabbitmq",
            SinkKind::Http(_) => "http",
            SinkKind::File(_) => "file",
        }
        .to_owned(),
        in_flight: lane.in_flight,
        limit: lane.limit,
        queued: lane.queued,
        pending: lane.pending,
        halted: lane.halted.map(|halt| halt.as_str().to_owned()),
        halted_until: lane.halted.and(lane.halted_until_ms).map(view::time),
        last_error: status.last_error.as_ref().map(|(at_ms, error)| LastError {
            at: view::time(*at_ms),
            class: error.class.as_str().to_owned(),
            code: error.code.clone(),
            detail: error.detail.clone(),
        }),
    }
}
