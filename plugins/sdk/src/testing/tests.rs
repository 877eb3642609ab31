//! The stand-in host, and golden cases that do not hold.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::cases::check;
use super::{Host, event};
use crate::{ConfigError, Event, Failure, Message, NoConfig, Outcome, Plugin, clock, log, state};

/// Counts events of a source for a minute.
struct Count;

impl Plugin for Count {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn handle(&self, event: Event) -> Result<Outcome, Failure> {
        let count = state::increment(&event.source, 1, Some(Duration::from_secs(60)))?;
        log::debug!("{count} at {}", clock::now_ms());
        Ok(Message::new("count", count.to_string()).into())
    }
}

fn counted(count: &str) -> Result<Outcome, Failure> {
    Ok(Message::new("count", count).into())
}

#[test]
fn the_store_lasts_over_events_and_forgets_after_its_time() {
    let mut host = Host::<Count>::new("{}").unwrap().grant_state();
    assert_eq!(host.handle(event("a")), counted("1"));
    assert_eq!(host.handle(event("a")), counted("2"));
    assert_eq!(host.state("a").as_deref(), Some(&b"2"[..]));
    host.advance(Duration::from_secs(60));
    assert_eq!(host.handle(event("a")), counted("1"));
    let logged = host.log();
    assert_eq!(logged.first().unwrap(), "debug: 1 at 1767225600000");
    assert_eq!(logged.last().unwrap(), "debug: 1 at 1767225660000");
}

#[test]
fn the_store_is_denied_without_a_grant() {
    let host = Host::<Count>::new("{}").unwrap();
    assert!(
        matches!(host.handle(event("a")), Err(Failure::Other(reason)) if reason.contains("grant"))
    );
}

#[test]
fn values_are_set_only_as_expected_and_within_the_limits() {
    let world = std::cell::RefCell::<super::world::World>::default();
    world.borrow_mut().state_granted = true;
    super::world::within(&world, || {
        assert_eq!(
            state::compare_and_set("k", Some(b"x"), b"1", None),
            Ok(false)
        );
        assert_eq!(state::compare_and_set("k", None, b"1", None), Ok(true));
        assert_eq!(state::compare_and_set("k", None, b"2", None), Ok(false));
        assert_eq!(state::get("k"), Ok(Some(b"1".to_vec())));
        assert_eq!(state::set("t", b"text", None), Ok(()));
        assert_eq!(
            state::increment("t", 1, None),
            Err(state::Error::NotANumber)
        );
        assert_eq!(state::delete("t"), Ok(()));
        assert_eq!(state::get("t"), Ok(None));
        assert!(matches!(
            state::set(&"k".repeat(257), b"", None),
            Err(state::Error::TooLarge(_))
        ));
        assert!(matches!(
            state::set("k", &[0; 65_537], None),
            Err(state::Error::TooLarge(_))
        ));
    });
}

#[test]
fn a_case_that_does_not_hold_tells_what_was_expected_and_what_came() {
    let folder = std::env::temp_dir().join(format!("hookswitch-cases-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    assert!(
        check::<Count>(&folder, "{}", false).is_err(),
        "an empty folder proves nothing"
    );
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("one.event.json", r#"{"source": "a", "body": {"b": 1}}"#);
    write(
        "one.expected.json",
        r#"{"forward": [{"body": 1, "event_type": "count"}]}"#,
    );
    assert_eq!(check::<Count>(&folder, "{}", false).unwrap(), 1);
    write(
        "one.expected.json",
        r#"{"forward": [{"body": 1.0, "event_type": "count"}]}"#,
    );
    let error = check::<Count>(&folder, "{}", false)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"body\": 1.0") && error.contains("\"body\": 1\n"),
        "{error}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
