//! First cut.
use hookswitch::{ConfigError, Event, Failure, Message, Outcome, Plugin};
use serde_json::{Value, json};

/// To be replaced.
struct NormalizeKyc;

#[derive(serde::Deserialize)]
struct Config {
    #[serde(rename = "schema")]
    _schema: Option<String>,
}

impl Plugin for NormalizeKyc {
    type Config = Config;
    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
    fn handle(&self, event: Event) -> Result<Outcome, Failure> {
        let body: Value = event.json()?;
        let status = body
            .pointer("/status")
            .and_then(Value::as_str)
            .unwrap_or("");
        let decision = match status {
            "Approved" => "approved",
            "Declined" => "declined",
            "In Review" => "review",
            _ => "none",
        };
        let out = json!({
            "schema": "kyc.v1", "provider": event.provider, "event_type": body["webhook_type"],
            "event_id": body["event_id"], "subject": body["vendor_data"], "session": body["session_id"],
            "decision": decision, "status": body["status"],
        });
        Ok(Message::json("kyc.decision", &out)?
            .attribute("kyc.decision", decision)
            .into())
    }
}

hookswitch::register!(NormalizeKyc);
