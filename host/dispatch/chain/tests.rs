//! Tests of `chain`: tables in, verdicts out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::event::{EventId, Header};

/// A plugin that answers from a closure.
struct Fake<F>(&'static str, OnError, F);

#[async_trait]
impl<F> Transform for Fake<F>
where
    F: Fn(&Event) -> Result<Outcome, PluginError> + Send + Sync,
{
    fn name(&self) -> &str {
        self.0
    }
    fn label(&self) -> &str {
        self.0
    }
    fn on_error(&self) -> OnError {
        self.1
    }
    async fn handle(&self, event: &Event, _attempt: u32) -> Result<Outcome, PluginError> {
        (self.2)(event)
    }
}

fn plugin(
    name: &'static str,
    on_error: OnError,
    answer: impl Fn(&Event) -> Result<Outcome, PluginError> + Send + Sync + 'static,
) -> Arc<dyn Transform> {
    Arc::new(Fake(name, on_error, answer))
}

fn event() -> Arc<Event> {
    Arc::new(Event {
        id: EventId::from_bytes([1; 16]),
        source: "didit".into(),
        provider: "didit".into(),
        kind: "status.updated".into(),
        provider_event_id: None,
        received_at_ms: 5,
        method: "POST".into(),
        path: "/hooks/didit".into(),
        query: String::new(),
        headers: vec![Header::new("user-agent", "x")],
        content_type: Some("application/json".into()),
        body: "{}".into(),
        attributes: vec![("coverage".into(), "full".into())],
    })
}

fn message(kind: &str) -> Message {
    Message {
        kind: kind.into(),
        ..Message::of(&event())
    }
}

async fn ended(plugins: Vec<Arc<dyn Transform>>) -> Ended {
    run(&plugins, &event(), 1, &Metrics::new()).await.ended
}

fn kinds(ended: Ended) -> Vec<String> {
    match ended {
        Ended::Messages(messages) => messages.into_iter().map(|m| m.kind).collect(),
        other => panic!("expected messages, got {other:?}"),
    }
}

fn failing(on_error: OnError) -> Arc<dyn Transform> {
    plugin("broken", on_error, |_| {
        Err(PluginError::Failed {
            code: "plugin_trap",
            detail: "unreachable".into(),
        })
    })
}

#[tokio::test]
async fn a_chain_without_plugins_forwards_the_event() {
    assert_eq!(kinds(ended(Vec::new()).await), ["status.updated"]);
}

#[tokio::test]
async fn each_message_is_the_next_plugins_event() {
    let split = plugin("split", OnError::DeadLetter, |_| {
        Ok(Outcome::Forward(vec![
            message("a"),
            message("b"),
            message("c"),
        ]))
    });
    let pick = plugin("pick", OnError::DeadLetter, |event| {
        Ok(match event.kind.as_str() {
            "a" => Outcome::Unchanged,
            "b" => Outcome::Drop("not wanted".into()),
            _ => Outcome::Forward(vec![message("c1"), message("c2")]),
        })
    });
    assert_eq!(kinds(ended(vec![split, pick]).await), ["a", "c1", "c2"]);
}

#[tokio::test]
async fn an_earlier_choice_of_sink_and_key_holds_until_a_later_plugin_chooses() {
    let choose = plugin("choose", OnError::DeadLetter, |_| {
        let mut message = message("a");
        message.sink = Some("crm".into());
        message.key = Some("k".into());
        message.attributes = vec![("kyc.decision".into(), "approved".into())];
        Ok(Outcome::Forward(vec![message]))
    });
    let edit = plugin("edit", OnError::DeadLetter, |_| {
        let mut message = message("b");
        message.attributes = Vec::new();
        Ok(Outcome::Forward(vec![message]))
    });
    let Ended::Messages(messages) = ended(vec![choose, edit]).await else {
        panic!("expected messages");
    };
    let message = messages.first().unwrap();
    assert_eq!(message.kind, "b");
    assert_eq!(message.sink.as_deref(), Some("crm"));
    assert_eq!(message.key.as_deref(), Some("k"));
    let kept = ("kyc.decision".to_owned(), "approved".to_owned());
    assert!(message.attributes.contains(&kept));
}

#[tokio::test]
async fn on_error_decides_what_a_failure_means() {
    let dead = ended(vec![failing(OnError::DeadLetter)]).await;
    assert_eq!(
        dead,
        Ended::Dead {
            code: "plugin_trap",
            detail: "broken: unreachable".into()
        }
    );
    assert_eq!(
        kinds(ended(vec![failing(OnError::Pass)]).await),
        ["status.updated"]
    );
    assert_eq!(
        ended(vec![failing(OnError::Drop)]).await,
        Ended::Dropped("broken: unreachable (plugin_trap)".into())
    );
}

#[tokio::test]
async fn a_rejection_is_a_dead_letter_whatever_on_error_says() {
    let reject = plugin("strict", OnError::Pass, |_| {
        Err(PluginError::Reject("no subject".into()))
    });
    assert_eq!(
        ended(vec![reject]).await,
        Ended::Dead {
            code: "plugin_reject",
            detail: "strict: no subject".into()
        }
    );
}

#[tokio::test]
async fn a_chain_that_makes_too_many_messages_is_cut() {
    let many = || {
        plugin("many", OnError::DeadLetter, |_| {
            Ok(Outcome::Forward(vec![message("x"); 40]))
        })
    };
    match ended(vec![many(), many()]).await {
        Ended::Dead { code, .. } => assert_eq!(code, "plugin_output"),
        other => panic!("expected a dead letter, got {other:?}"),
    }
}

#[tokio::test]
async fn labels_name_the_plugins_that_were_called() {
    let pass = plugin("one", OnError::DeadLetter, |_| Ok(Outcome::Unchanged));
    let drop = plugin("two", OnError::DeadLetter, |_| {
        Ok(Outcome::Drop("x".into()))
    });
    let never = plugin("three", OnError::DeadLetter, |_| Ok(Outcome::Unchanged));
    let passed = run(&[pass, drop, never], &event(), 1, &Metrics::new()).await;
    assert_eq!(passed.plugins, "one two");
    assert_eq!(passed.ended, Ended::Dropped("two: x".into()));
}
