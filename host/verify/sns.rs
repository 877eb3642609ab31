//! The lines that Amazon SNS signs: `Key\nValue\n` for a fixed list of keys in their order, absent ones left out.
//!
//! Values are not escaped. Only a message and its subject may have line breaks in them, so that no value can pass
//! itself off as the key and value that come next.

use super::Rejection;
use super::pointer::{Found, Pointers};

const NOTIFICATION: &[&str] = &[
    "Message",
    "MessageId",
    "Subject",
    "Timestamp",
    "TopicArn",
    "Type",
];
const CONFIRMATION: &[&str] = &[
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
];

/// Keys whose value is the publisher's own text.
const FREE: &[&str] = &["Message", "Subject"];

/// Where the fields stand.
#[derive(Debug)]
pub(super) struct SnsFields(Vec<(&'static str, usize)>);

impl SnsFields {
    pub(super) fn new(pointers: &mut Pointers) -> Self {
        let keys = NOTIFICATION.iter().chain(CONFIRMATION);
        Self(
            keys.map(|key| (*key, pointers.add(&format!("/{key}"))))
                .collect(),
        )
    }

    pub(super) fn lines(&self, found: &Found<'_>) -> Result<String, Rejection> {
        let value = |key: &str| {
            let (_, slot) = self.0.iter().find(|(known, _)| *known == key)?;
            found.text(*slot)
        };
        let keys = match value("Type").as_deref() {
            Some("Notification") => NOTIFICATION,
            Some("SubscriptionConfirmation" | "UnsubscribeConfirmation") => CONFIRMATION,
            _ => {
                return Err(Rejection::malformed(
                    "field `/Type` of the body names no message of SNS",
                ));
            }
        };
        let mut lines = String::new();
        for key in keys {
            let Some(value) = value(key) else { continue };
            if value.contains('\n') && !FREE.contains(key) {
                return Err(Rejection::malformed(format!(
                    "field `/{key}` of the body has a line break"
                )));
            }
            lines.push_str(key);
            lines.push('\n');
            lines.push_str(&value);
            lines.push('\n');
        }
        Ok(lines)
    }
}
