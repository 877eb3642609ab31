//! Client: one librdkafka producer, made when first needed and made anew after a fatal error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::{Unsent, classify};
use super::settings::is_fatal;
use crate::sink::{Class, Receipt, SinkError};

/// How long to wait before asking a full queue again; a batch leaves it about every `linger.ms`.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);

/// The present producer. See the module's text.
pub(super) struct Clients {
    config: ClientConfig,
    present: Mutex<Option<Client>>,
}

#[derive(Clone)]
struct Client {
    producer: FutureProducer<Witness>,
    witness: Witness,
}

impl Clients {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            config,
            present: Mutex::new(None),
        }
    }

    /// Sends one record and waits for the broker's report, at most until `deadline`.
    pub(super) async fn send(
        &self,
        mut record: FutureRecord<'_, str, [u8]>,
        deadline: Instant,
    ) -> Result<Receipt, Unsent> {
        let client = self.client()?;
        let report = loop {
            match client.producer.send_result(record) {
                Ok(report) => break report,
                Err((KafkaError::MessageProduction(Code::QueueFull), back))
                    if Instant::now() + QUEUE_FULL_WAIT < deadline =>
                {
                    record = back;
                    sleep(QUEUE_FULL_WAIT).await;
                }
                Err((error, _)) => return Err(self.unsent(&client, &error, true)),
            }
        };
        match timeout_at(deadline, report).await {
            Ok(Ok(Ok(stored))) => {
                client.witness.forget();
                Ok(Receipt {
                    code: format!("partition {} offset {}", stored.partition, stored.offset),
                })
            }
            Ok(Ok(Err((error, _)))) => Err(self.unsent(&client, &error, false)),
            Ok(Err(_canceled)) => Err(self.unsent(&client, &KafkaError::Canceled, true)),
            Err(_elapsed) => {
                let error = KafkaError::MessageProduction(Code::MessageTimedOut);
                Err(self.unsent(&client, &error, true))
            }
        }
    }

    /// Sends what is queued, for at most `patience`, and ends librdkafka's threads.
    pub(super) async fn close(&self, patience: Duration) {
        let client = {
            let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            present.take()
        };
        if let Some(client) = client {
            // Both flushing and dropping wait for librdkafka's threads. What could not be sent has been
            // reported to its delivery as an error.
            let closing = move || drop(client.producer.flush(patience));
            let _ = tokio::task::spawn_blocking(closing).await;
        }
    }

    fn client(&self) -> Result<Client, Unsent> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*present {
            return Ok(client.clone());
        }
        let witness = Witness::default();
        let producer =
            FutureProducer::from_config_and_context(&self.config, witness.clone()).map_err(|_| {
                // librdkafka's text may quote the option's value, which may be a secret.
                let detail = "librdkafka cannot use the options together, or a file that they name; \
                              its log line says which";
                Unsent {
                    error: SinkError::new(Class::Configuration, "bad_options", detail),
                    alone: true,
                }
            })?;
        let client = Client { producer, witness };
        *present = Some(client.clone());
        Ok(client)
    }

    fn unsent(&self, client: &Client, error: &KafkaError, alone: bool) -> Unsent {
        let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
        let (mut class, mut stable) = classify(code);
        let mut detail = match error {
            KafkaError::Canceled => "the producer was closed".to_owned(),
            _ => code.to_string(),
        };
        if is_fatal(code) || client.producer.client().fatal_error().is_some() {
            self.forget(client);
            (class, stable) = (Class::Transient, "producer_fatal");
        } else if stable == "timeout"
            && let Some(seen) = client.witness.seen()
        {
            // A broker that refuses the login answers no message: each just times out.
            if seen.refused_login {
                (class, stable) = (Class::Configuration, "auth_failed");
            }
            detail = format!("{detail}; last connection error: {}", seen.reason);
        }
        Unsent {
            error: SinkError::new(class, stable, detail),
            alone,
        }
    }

    /// Makes the next delivery start a new producer; the old one ends with its last delivery.
    fn forget(&self, client: &Client) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present
            .as_ref()
            .is_some_and(|now| Arc::ptr_eq(&now.witness.0, &client.witness.0))
        {
            tracing::warn!("Kafka producer met a fatal error; starting a new one.");
            *present = None;
        }
    }
}

/// Hears what librdkafka says of its connections, which no message's report tells.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Option<Seen>>>);

#[derive(Clone)]
struct Seen {
    reason: String,
    refused_login: bool,
}

impl Witness {
    fn seen(&self) -> Option<Seen> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A message went through: what was seen before is history.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ClientContext for Witness {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility = fac, "librdkafka: {message}"),
            _ => tracing::debug!(facility = fac, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
        let refused_login = classify(code) == (Class::Configuration, "auth_failed");
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers down" follows a refused login and says less.
        if code == Code::AllBrokersDown && seen.is_some() {
            return;
        }
        *seen = Some(Seen {
            reason: reason.to_owned(),
            refused_login,
        });
    }
}
