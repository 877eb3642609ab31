//! The plugin host with real guests: the obedient puppet (`tests/fixtures/guests/src`) and judge, and
//! components that no compiler would write (`hostile.wat`). Each hostile guest must cost its own call and no
//! other.

pub(crate) mod guests;
mod hostile;
mod judging;
mod loading;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookswitch::event::{Event, EventId, Header};
use hookswitch::plugin::limits::INSTANCES_MAX;
use hookswitch::plugin::{Grants, Limits, Outcome, Plugin, PluginError};

use guests::{Memory, code_of, engine, event, puppet, puppet_with, said, spec};

#[tokio::test]
async fn an_event_reaches_the_guest_whole_and_comes_back_as_a_message() {
    let plugin = puppet().await;
    let sent = Event {
        id: EventId::now(),
        source: Arc::from("didit"),
        provider: Arc::from("custom"),
        kind: "status.updated".to_owned(),
        provider_event_id: Some("evt_1".to_owned()),
        received_at_ms: 1_700_000_000_123,
        method: "POST".to_owned(),
        path: "/hooks/ü".to_owned(),
        query: "a=1&b=2".to_owned(),
        headers: vec![Header::new("x-a", "one"), Header::new("x-a", "two")],
        content_type: Some("text/plain".to_owned()),
        body: "echo \u{1F30D}\r\n\0".into(),
        attributes: vec![("coverage".to_owned(), "body".to_owned())],
    };
    let Ok(Outcome::Forward(messages)) = plugin.handle(&sent, 1).await else {
        panic!("not forwarded");
    };
    let [message] = messages.as_slice() else {
        panic!("{} messages", messages.len());
    };
    assert_eq!(message.sink.as_deref(), Some("a-sink"));
    assert_eq!(message.key.as_deref(), Some("a-key"));
    assert_eq!(message.kind, sent.kind);
    assert_eq!(message.content_type, sent.content_type);
    assert_eq!(message.headers, sent.headers);
    assert_eq!(message.body, sent.body);
    let attribute = |name: &str| {
        let mut all = message.attributes.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(attribute("coverage"), Some("body"));
    assert_eq!(attribute("id"), Some(sent.id.to_string().as_str()));
    assert_eq!(attribute("source"), Some("didit"));
    assert_eq!(attribute("provider"), Some("custom"));
    assert_eq!(attribute("provider-event-id"), Some("evt_1"));
    assert_eq!(attribute("received-at"), Some("1700000000123"));
    assert_eq!(attribute("method"), Some("POST"));
    assert_eq!(attribute("path"), Some("/hooks/ü"));
    assert_eq!(attribute("query"), Some("a=1&b=2"));
}

#[tokio::test]
async fn every_outcome_and_failure_comes_through() {
    let plugin = puppet().await;
    let call = async |body: &str| plugin.handle(&event(body), 1).await;
    assert_eq!(call("unchanged").await, Ok(Outcome::Unchanged));
    assert_eq!(
        call("drop not\nwanted").await,
        Ok(Outcome::Drop("not wanted".to_owned()))
    );
    assert_eq!(
        call("reject never").await,
        Err(PluginError::Reject("never".to_owned()))
    );
    let later = |after| PluginError::Retry {
        after,
        reason: "later".to_owned(),
    };
    assert_eq!(call("retry 0").await, Err(later(None)));
    assert_eq!(
        call("retry 1500").await,
        Err(later(Some(Duration::from_millis(1500))))
    );
    assert_eq!(
        call(&format!("retry {}", u64::MAX)).await,
        Err(later(Some(Duration::from_secs(7 * 24 * 3600)))),
        "bounded"
    );
    assert_eq!(
        call("other broken").await,
        Err(PluginError::Failed {
            code: "plugin_error",
            detail: "broken".to_owned(),
        })
    );
}

#[tokio::test]
async fn what_the_host_offers_answers() {
    let plugin = puppet().await;
    assert_eq!(said(&plugin, "config").await, r#"{"some":"config"}"#);
    let received = event("").received_at_ms;
    assert_eq!(
        said(&plugin, "clock").await,
        format!("{received} {received}"),
        "the wall clock stands still as well"
    );
    assert_eq!(said(&plugin, "random").await, "1");
    assert_eq!(said(&plugin, "log 3").await, "logged");
    let third = plugin.handle(&event("attempt"), 3).await;
    assert!(matches!(third, Ok(Outcome::Forward(messages)) if messages[0].body == "3"));
}

#[tokio::test]
async fn nothing_of_the_machine_is_seen() {
    let plugin = puppet().await;
    assert_eq!(said(&plugin, "outside").await, "false false false 0 0 0");
}

#[tokio::test]
async fn each_call_has_an_instance_of_its_own() {
    let plugin = puppet().await;
    for _ in 0..3 {
        assert_eq!(said(&plugin, "calls").await, "1");
    }
}

#[tokio::test]
async fn state_is_the_plugins_own_and_keeps_its_bounds() {
    let store = Arc::new(Memory::default());
    let plugin = puppet_with(|_| {}, store.clone()).await;
    let other = puppet_with(|spec| spec.name = Arc::from("other"), store).await;
    let table = [
        ("state get a", "absent"),
        ("state set a one", "Ok(())"),
        ("state get a", "one"),
        ("state cas a two three", "Ok(false)"),
        ("state cas a one two", "Ok(true)"),
        ("state get a", "two"),
        ("state cas b - new", "Ok(true)"),
        ("state increment n", "Ok(1)"),
        ("state increment n", "Ok(2)"),
        ("state increment a", "Err(Error::NotANumber)"),
        ("state delete a", "Ok(())"),
        ("state get a", "absent"),
    ];
    for (command, expected) in table {
        assert_eq!(said(&plugin, command).await, expected, "{command}");
    }
    assert_eq!(said(&other, "state get n").await, "absent");
    let long = format!("state get {}", "k".repeat(257));
    assert!(said(&plugin, &long).await.contains("at most 256 bytes"));
    let large = said(&plugin, "state set-large a").await;
    assert!(large.contains("at most 65536 bytes"), "{large}");
    let broken = said(&plugin, "state get broken").await;
    assert!(broken.contains("Unavailable"), "{broken}");
}

#[tokio::test]
async fn a_panic_of_the_host_costs_the_one_call() {
    let plugin = puppet().await;
    let outcome = plugin.handle(&event("state get panic"), 1).await;
    assert_eq!(code_of(&outcome), "plugin_trap");
    assert_eq!(said(&plugin, "calls").await, "1");
}

/// Each obeys until it is cut off, with its own code, and its neighbour never notices.
#[tokio::test]
async fn a_hostile_guest_costs_its_own_call() {
    let plugin = puppet().await;
    let neighbour = puppet_with(|_| {}, Arc::new(Memory::default())).await;
    let table = [
        ("spin", "plugin_timeout", "ran for more than 50 ms"),
        ("sleep", "plugin_timeout", "took more than 500 ms"),
        (
            "print-for-ever",
            "plugin_timeout",
            "ran for more than 50 ms",
        ),
        ("eat", "plugin_memory", "33554432 bytes"),
        ("panic secret", "plugin_trap", "unreachable"),
        ("exit", "plugin_trap", "exited with status"),
        ("log-for-ever", "plugin_host_calls", "more than 4096 times"),
        ("none", "plugin_output", "drop the event with a reason"),
        ("many 17", "plugin_output", "17 messages"),
        (
            "large 1048577",
            "plugin_output",
            "`limits.output` is 1048576",
        ),
        ("large 8000000", "plugin_output", "more bytes at once"),
        ("header X-Upper", "plugin_output", "lower-case token"),
        (
            "header host=a",
            "plugin_output",
            "`host` is set by the sinks",
        ),
        ("header x=a\nb", "plugin_output", "control character"),
        ("sink ", "plugin_output", "name is empty"),
        ("sink a\u{1b}", "plugin_output", "not printable"),
        ("nonsense", "plugin_error", "unknown verb"),
    ];
    for (command, code, part) in table {
        let outcome = plugin.handle(&event(command), 1).await;
        assert_eq!(code_of(&outcome), code, "{command}: {outcome:?}");
        let detail = outcome.unwrap_err().to_string();
        assert!(detail.contains(part), "{command}: {detail}");
        assert!(!detail.contains("secret"), "{command}: {detail}");
        assert_eq!(said(&plugin, "calls").await, "1", "after {command}");
        assert_eq!(said(&neighbour, "calls").await, "1", "after {command}");
    }
}

#[tokio::test]
async fn a_guest_that_can_do_without_memory_goes_on() {
    let plugin = puppet().await;
    assert_eq!(said(&plugin, "try-to-eat").await, "refused");
}

#[tokio::test]
async fn limits_are_those_of_the_plugin() {
    let limited = |limits| puppet_with(move |spec| spec.limits = limits, Arc::default());
    let wide = limited(Limits {
        output_bytes: 16 << 20,
        messages: 1024,
        ..Limits::default()
    })
    .await;
    for command in ["large 8000000", "many 1024"] {
        let outcome = wide.handle(&event(command), 1).await;
        assert!(outcome.is_ok(), "{command}: {:?}", outcome.unwrap_err());
    }
    let slow = limited(Limits {
        time: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let start = Instant::now();
    let outcome = slow.handle(&event("spin"), 1).await;
    assert_eq!(code_of(&outcome), "plugin_timeout");
    assert!(start.elapsed() >= Duration::from_millis(200));
    let silent = limited(Limits {
        host_calls: 2,
        ..Limits::default()
    })
    .await;
    let outcome = silent.handle(&event("log 3"), 1).await;
    assert_eq!(code_of(&outcome), "plugin_host_calls");
}

/// One thread, a guest that spins, and a task that wants to run all the while.
#[tokio::test(flavor = "current_thread")]
async fn a_spinning_guest_gives_its_thread_back_every_tick() {
    let plugin = puppet().await;
    let spinning = tokio::spawn(async move { plugin.handle(&event("spin"), 1).await });
    let mut turns = 0;
    while !spinning.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(code_of(&spinning.await.unwrap()), "plugin_timeout");
    assert!(turns >= 10, "ran {turns} times in 50 ms");
}

/// Calls wait for an instance instead of failing, and one plugin cannot take them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_instances_all_succeed() {
    let greedy = puppet().await;
    let modest = puppet_with(|_| {}, Arc::default()).await;
    let crowd = INSTANCES_MAX + 8;
    let sleeping: Vec<_> = (0..crowd)
        .map(|_| {
            let greedy = greedy.clone();
            tokio::spawn(async move { greedy.handle(&event("sleep"), 1).await })
        })
        .collect();
    // The greedy plugin's calls take 500 ms each and are far from done.
    assert_eq!(said(&modest, "calls").await, "1");
    assert!(!sleeping.iter().all(|call| call.is_finished()));
    for call in sleeping {
        assert_eq!(code_of(&call.await.unwrap()), "plugin_timeout");
    }
}

#[tokio::test]
async fn an_abandoned_call_leaves_nothing_behind() {
    let plugin = puppet().await;
    for _ in 0..INSTANCES_MAX * 2 {
        let sleep = event("sleep");
        let call = plugin.handle(&sleep, 1);
        // Polled once, so that the instance exists, and dropped.
        assert!(futures_util::FutureExt::now_or_never(call).is_none());
    }
    assert_eq!(said(&plugin, "calls").await, "1");
}

#[tokio::test]
async fn the_label_names_plugin_and_component() {
    let plugin = puppet().await;
    let label = plugin.label();
    let (name, digits) = label.split_once('@').unwrap();
    assert_eq!(name, "puppet");
    assert!(digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(plugin.spec().grants, Grants { state: true });
    let again = Plugin::load(engine(), spec(), Arc::new(Memory::default())).await;
    assert_eq!(again.unwrap().label(), label);
}
