//! Opening: from a configured sink to the code that delivers to it.
//!
//! Opens no connection and no file: a destination that is down when the program starts must not stop
//! it. What can be found wrong without asking the other side is found here.

use std::sync::Arc;

use super::Sink;
use super::file::FileSink;
use super::http::HttpSink;
use super::kafka::KafkaSink;
use super::rabbitmq::RabbitMqSink;
use crate::config::{self, SinkKind};

/// A sink whose settings cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sink `{sink}`: {problem}")]
pub struct SetupError {
    /// The sink's name.
    pub sink: Arc<str>,
    /// What is wrong and what to do; holds no secret.
    pub problem: String,
}

impl SetupError {
    /// A problem of this sink.
    pub fn new(sink: &config::Sink, problem: impl Into<String>) -> Self {
        Self {
            sink: sink.name.clone(),
            problem: problem.into(),
        }
    }
}

/// Makes the sink.
///
/// # Errors
/// If the settings cannot work: an unknown client option, a signing secret that is not base64.
pub fn open(sink: &config::Sink) -> Result<Arc<dyn Sink>, SetupError> {
    Ok(match &sink.kind {
        SinkKind::Kafka(kafka) => Arc::new(KafkaSink::new(sink, kafka)?),
        SinkKind::RabbitMq(rabbitmq) => Arc::new(RabbitMqSink::new(sink, rabbitmq)?),
        SinkKind::Http(http) => Arc::new(HttpSink::new(sink, http)?),
        SinkKind::File(file) => Arc::new(FileSink::new(sink, file)?),
    })
}
