//! Verifiers with a real guest: the obedient judge (`tests/fixtures/guests/judge`).

use std::sync::Arc;
use std::time::Duration;

use hookswitch::event::Header;
use hookswitch::plugin::verifier::{Claim, Covers, NoClaim, Request, Setting};
use hookswitch::plugin::{Grants, Limits, LoadError, Plugin, PluginSpec, Verifier};
use hookswitch::secret::Secret;

use super::guests::{Memory, config, engine, judge_path, puppet_path, spec};

const SECRET: &str = "canary-secret-of-the-source";

fn judge_spec() -> PluginSpec {
    PluginSpec {
        name: Arc::from("judge"),
        component: judge_path(),
        grants: Grants::default(),
        ..spec()
    }
}

async fn load(change: impl FnOnce(&mut PluginSpec)) -> Result<Verifier, LoadError> {
    let mut spec = judge_spec();
    change(&mut spec);
    Verifier::load(engine(), spec, Arc::new(Memory::default())).await
}

async fn judge() -> Verifier {
    load(|_| {}).await.unwrap()
}

fn setting() -> Setting {
    Setting {
        source: "partner".into(),
        secrets: vec![Secret::new(SECRET)],
        params: [("account".to_owned(), "a-1".to_owned())].into(),
        tolerance: Some(Duration::from_secs(90)),
        public_url: Some("https://hooks.example.com/p".to_owned()),
    }
}

async fn tell(verifier: &Verifier, command: &str) -> Result<Claim, NoClaim> {
    let request = Request {
        method: "POST",
        target: "/hooks/p?a=1",
        headers: &[Header::new("host", "h"), Header::new("x-a", "\u{fc}")],
        body: command.as_bytes(),
    };
    verifier
        .verify(request, &setting(), 1_700_000_000_123)
        .await
}

fn plain(covers: Covers, event_id: Option<&str>, event_type: &str) -> Claim {
    Claim {
        covers,
        event_id: event_id.map(str::to_owned),
        event_type: event_type.to_owned(),
        credentials: Vec::new(),
        attributes: Vec::new(),
    }
}

#[tokio::test]
async fn a_verifier_is_handed_request_setting_time_and_config() {
    let claim = tell(&judge().await, "echo").await.unwrap();
    let seen = |name: &str| {
        let mut all = claim.attributes.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    for (name, expected) in [
        ("method", "POST"),
        ("target", "/hooks/p?a=1"),
        ("headers", "host=h|x-a=\u{fc}"),
        ("body", "4"),
        ("source", "partner"),
        ("now", "1700000000123"),
        ("secrets", "27"),
        ("params", "account=a-1"),
        ("tolerance", "Some(90000)"),
        ("url", "Some(\"https://hooks.example.com/p\")"),
        ("config", "{\"some\":\"config\"}"),
    ] {
        assert_eq!(seen(name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn claims_and_rejections_come_through() {
    let judge = judge().await;
    for (command, expected) in [
        (
            "claim full evt_1 order.paid",
            plain(Covers::Full, Some("evt_1"), "order.paid"),
        ),
        ("claim partial", plain(Covers::Partial, None, "")),
        ("claim none evt_2", plain(Covers::None, Some("evt_2"), "")),
    ] {
        assert_eq!(tell(&judge, command).await, Ok(expected), "{command}");
    }
    let claim = tell(&judge, "credential x-token token").await.unwrap();
    assert_eq!(claim.credentials, ["x-token", "token"]);
    let rejected = |code: &str, detail: &str| {
        Err(NoClaim::Rejected {
            code: code.to_owned(),
            detail: detail.to_owned(),
        })
    };
    assert_eq!(
        tell(&judge, "reject stale an hour\nold").await,
        rejected("stale", "an hour old")
    );
    let long = format!("reject x {}", "d".repeat(5000));
    assert_eq!(tell(&judge, &long).await, rejected("x", &"d".repeat(1024)));
}

/// None of these is a verdict, and the next call is as if nothing had been.
#[tokio::test]
async fn a_verifier_that_fails_says_nothing_of_the_request() {
    let judge = judge().await;
    let table = [
        ("spin", "plugin_timeout", "ran for more than 50 ms"),
        ("sleep", "plugin_timeout", "took more than 500 ms"),
        ("eat", "plugin_memory", "33554432 bytes"),
        ("panic told", "plugin_trap", "unreachable"),
        ("log-for-ever", "plugin_host_calls", "more than 4096 times"),
        ("attributes 17", "plugin_output", "17 attributes"),
        ("attribute coverage", "plugin_output", "set by the host"),
        ("credential a\u{1b}", "plugin_output", "control character"),
        (
            "large 1048577",
            "plugin_output",
            "`limits.output` is 1048576",
        ),
        ("large 8000000", "plugin_output", "more bytes at once"),
    ];
    for (command, expected, part) in table {
        match tell(&judge, command).await {
            Err(NoClaim::Failed { code, detail }) => {
                assert_eq!(code, expected, "{command}: {detail}");
                assert!(detail.contains(part), "{command}: {detail}");
            }
            other => panic!("{command}: {other:?}"),
        }
        let fresh = plain(Covers::Full, Some("1"), "");
        assert_eq!(tell(&judge, "calls").await, Ok(fresh), "after {command}");
    }
}

#[tokio::test]
async fn nothing_of_the_machine_is_seen() {
    let claim = tell(&judge().await, "outside").await.unwrap();
    assert_eq!(claim.event_id.as_deref(), Some("false-0-0"));
}

#[tokio::test]
async fn a_secret_is_masked_wherever_the_guest_puts_it() {
    let judge = judge().await;
    let Err(NoClaim::Rejected { detail, .. }) = tell(&judge, "leak").await else {
        panic!("claimed");
    };
    assert_eq!(detail, "wanted ****urce");
    let mut setting = setting();
    setting.secrets = vec![Secret::new("refuse canary words")];
    let refusal = judge.check(&setting).await.unwrap().unwrap_err();
    assert_eq!(refusal, "canary words: ****ords");
    assert!(!format!("{setting:?}").contains("canary"), "{setting:?}");
    assert!(!format!("{setting:?}").contains("a-1"), "{setting:?}");
}

#[tokio::test]
async fn settings_are_checked_once_and_a_check_that_spins_is_cut_off() {
    let judge = judge().await;
    assert_eq!(judge.check(&setting()).await, Ok(Ok(())));
    let mut spinning = setting();
    spinning.secrets = vec![Secret::new("spin now")];
    let failed = judge.check(&spinning).await.unwrap_err().to_string();
    assert!(failed.contains("ran for more than 5000 ms"), "{failed}");
}

#[tokio::test]
async fn a_component_of_the_other_role_is_not_loaded() {
    let error = load(|spec| spec.component = puppet_path())
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with(
            "is a transformer (it exports `hookswitch:plugin/transform`), not a verifier"
        ),
        "{error}"
    );
    assert!(error.hint().contains("belongs to a route"));
    let as_transformer = Plugin::load(engine(), judge_spec(), Arc::new(Memory::default())).await;
    let error = as_transformer.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is a verifier (it exports `hookswitch:plugin/verify`), not a transformer"),
        "{error}"
    );
    let error = load(|spec| spec.config = config("{\"refuse\":1}"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin refuses its config: told to refuse"
    );
}

#[tokio::test]
async fn a_verifier_that_imports_more_than_the_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for import in ["config", "clock", "state"] {
        let text = format!(
            r#"(component
                (import "hookswitch:plugin/{import}@0.1.0" (instance (export "f" (func))))
                (instance $i)
                (export "hookswitch:plugin/lifecycle@0.1.0" (instance $i))
                (export "hookswitch:plugin/verify@0.1.0" (instance $i)))"#
        );
        let path = folder.path().join(import);
        std::fs::write(&path, wat::parse_str(&text).unwrap()).unwrap();
        let error = load(|spec| spec.component = path).await.unwrap_err();
        let wanted =
            format!("imports `hookswitch:plugin/{import}@0.1.0`, which plugins are not given");
        assert!(error.to_string().ends_with(&wanted), "{error}");
        assert!(error.hint().contains("verifiers nothing but the log"));
    }
}

/// Takes as long as a request waits.
#[tokio::test]
async fn a_request_does_not_wait_for_its_turn_for_ever() {
    let patient = |spec: &mut PluginSpec| {
        spec.limits = Limits {
            time: Duration::from_secs(30),
            ..Limits::default()
        };
    };
    let judge = load(patient).await.unwrap();
    let sleeping: Vec<_> = (0..hookswitch::plugin::limits::CALLS_PER_VERIFIER)
        .map(|_| {
            let judge = judge.clone();
            tokio::spawn(async move { tell(&judge, "sleep").await })
        })
        .collect();
    tokio::task::yield_now().await;
    match tell(&judge, "calls").await {
        Err(NoClaim::Failed { code, detail }) => {
            assert_eq!(
                (code, detail.as_str()),
                ("plugin_busy", "waited 5 s for its turn")
            );
        }
        other => panic!("{other:?}"),
    }
    for call in sleeping {
        call.abort();
    }
}
