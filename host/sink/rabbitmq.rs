//! stub
use super::open::SetupError;
use super::{Class, Delivery, Receipt, Sink, SinkError};
use async_trait::async_trait;
pub struct RabbitMqSink;
impl RabbitMqSink {
    pub fn new(_: &crate::config::Sink, _: &crate::config::RabbitMq) -> Result<Self, SetupError> {
        Ok(Self)
    }
}
#[async_trait]
impl Sink for RabbitMqSink {
    async fn deliver(&self, _: &Delivery) -> Result<Receipt, SinkError> {
        Err(SinkError::new(Class::Transient, "todo", "todo"))
    }
    async fn close(&self) {}
}
