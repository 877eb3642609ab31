//! Handshakes in tables: what each provider asks and hears, and what nobody hears.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::ask;
use super::rule::{JsonValue, Scalar};
use super::text::Text;
use super::{BadHandshake, Given, Handshakes, Off, Refused, Rule, Shaken, echo};
use crate::event::Header;
use crate::fetch::Policy;
use crate::provider::{self, preset};
use crate::secret::Secret;
use crate::verify::{Params, Request, Scheme, sign};

const NOW_MS: u64 = 1_760_000_000_000;
const SECRET: &str = "a-secret-that-is-long-enough";

/// A request that owns its parts.
#[derive(Clone, Default)]
struct Asked {
    method: &'static str,
    target: String,
    headers: Vec<Header>,
    body: String,
}

impl Asked {
    fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            ..Self::default()
        }
    }

    fn post(body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..Self::new("POST", "/in")
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            target: &self.target,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }

    fn signed(mut self, scheme: &Scheme, secret: &str) -> Self {
        let secrets = [Secret::new(secret)];
        let signed = sign::sign(scheme, &secrets, &Params::default(), self.request(), NOW_MS);
        for (name, value) in signed.unwrap().headers {
            self.headers.push(Header::new(name, value));
        }
        self
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn policy() -> Policy {
    Policy {
        hosts: vec![],
        allow_private: vec![],
        bytes_max: 1000,
        timeout: Duration::from_secs(1),
    }
}

fn build(
    rules: &[Rule],
    scheme: &Scheme,
    secrets: &[&str],
    params: &[(&str, &str)],
    fetch: bool,
) -> Result<(Handshakes, Vec<Off>), Vec<BadHandshake>> {
    let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
    let policy = policy();
    let given = Given {
        scheme,
        secrets: &secrets,
        params: &Params::default(),
        values: &values(params),
        fetch: fetch.then_some(&policy),
    };
    Handshakes::new(rules, given)
}

fn of_preset(name: &str, params: &[(&str, &str)]) -> Handshakes {
    let preset = preset(name).unwrap();
    build(&preset.handshake, &preset.scheme, &[SECRET], params, false)
        .unwrap()
        .0
}

fn rule(text: &str) -> Rule {
    toml::from_str(text).unwrap()
}

fn own(text: &str) -> Handshakes {
    let scheme = preset("generic").unwrap().scheme.clone();
    build(&[rule(text)], &scheme, &[SECRET], &[], true)
        .unwrap()
        .0
}

fn answer(handshakes: &Handshakes, asked: &Asked) -> Option<Result<Shaken, Refused>> {
    Some(handshakes.find(asked.request())?.answer(NOW_MS))
}

/// Status, content type and body.
fn shown(handshakes: &Handshakes, asked: &Asked) -> String {
    match answer(handshakes, asked) {
        None => "no handshake".to_owned(),
        Some(Err(refused)) => refused.outcome().to_owned(),
        Some(Ok(shaken)) => {
            let answer = shaken.answer;
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            assert_eq!(answer.headers["cache-control"], "no-store");
            let content_type = answer.headers.get("content-type");
            let content_type = content_type.map_or("-", |value| value.to_str().unwrap());
            let body = String::from_utf8_lossy(&answer.body);
            format!("{} {content_type} {body}", answer.status)
        }
    }
}

#[test]
fn each_provider_hears_what_it_wants_to_hear() {
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let text = |body: &str| format!("200 text/plain {body}");
    let json = |body: &str| format!("200 application/json {body}");
    // HMAC-SHA256 of `qgg8vlvZRS6UYooatFL8Aw` with the secret, made with Python's `hmac`.
    let zoom = "f49a59f792bbf996ba711b7476e467e4a391c8b448edb888b0467ddb5836f535";
    let cases = [
        (
            "slack",
            vec![],
            Asked::post(&format!(
                r#"{{"token":"t","challenge":"{challenge}","type":"url_verification"}}"#
            )),
            text(challenge),
        ),
        (
            "slack",
            vec![],
            Asked::post(r#"{"type":"event_callback","challenge":"x"}"#),
            "no handshake".into(),
        ),
        (
            "zoom",
            vec![],
            Asked::post(
                r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#,
            ),
            json(&format!(
                r#"{{"encryptedToken":"{zoom}","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#
            )),
        ),
        (
            "trulioo",
            vec![],
            Asked::post(&format!(
                r#"{{"challenge":"{challenge}","type":"URL_VERIFICATION","token":"t"}}"#
            )),
            text(challenge),
        ),
        (
            "trulioo",
            vec![("verify_token", "t")],
            Asked::post(r#"{"challenge":"c","type":"URL_VERIFICATION","token":"t"}"#),
            text("c"),
        ),
        (
            "trulioo",
            vec![("verify_token", "another")],
            Asked::post(r#"{"challenge":"c","type":"URL_VERIFICATION","token":"t"}"#),
            "unexpected_value".into(),
        ),
        (
            "meta",
            vec![("verify_token", "my token")],
            Asked::new(
                "GET",
                "/in?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=my%20token",
            ),
            text("1158201444"),
        ),
        (
            "meta",
            vec![("verify_token", "my token")],
            Asked::new(
                "GET",
                "/in?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=my",
            ),
            "unexpected_value".into(),
        ),
        (
            "meta",
            vec![("verify_token", "my token")],
            Asked::new("GET", "/in?hub.mode=subscribe&hub.challenge=1158201444"),
            "unexpected_value".into(),
        ),
        (
            "meta",
            vec![("verify_token", "my token")],
            Asked::new(
                "GET",
                "/in?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=my+token",
            ),
            "no handshake".into(),
        ),
        (
            "dropbox",
            vec![],
            Asked::new("GET", "/in?challenge=abc123"),
            text("abc123"),
        ),
        (
            "dropbox",
            vec![],
            Asked::new("GET", "/in?challenge="),
            "bad_challenge".into(),
        ),
        (
            "dropbox",
            vec![],
            Asked::new("GET", "/in"),
            "bad_challenge".into(),
        ),
        (
            "dropbox",
            vec![],
            Asked::new("GET", "/in?challenge=a&challenge=b"),
            "bad_challenge".into(),
        ),
        (
            "dropbox",
            vec![],
            Asked::new("POST", "/in?challenge=abc123"),
            "no handshake".into(),
        ),
        (
            "okta",
            vec![],
            Asked::new("GET", "/in").with("x-okta-verification-challenge", "Me_rShK8JHs-TnbyYr"),
            json(r#"{"verification":"Me_rShK8JHs-TnbyYr"}"#),
        ),
        (
            "okta",
            vec![],
            Asked::new("GET", "/in"),
            "bad_challenge".into(),
        ),
        (
            "intercom",
            vec![],
            Asked::new("HEAD", "/in"),
            "200 - ".into(),
        ),
        (
            "cloudevents",
            vec![],
            Asked::new("OPTIONS", "/in").with("webhook-request-origin", "eventemitter.example.com"),
            "200 - ".into(),
        ),
        (
            "cloudevents",
            vec![("allowed_origins", "a.test, b.test")],
            Asked::new("OPTIONS", "/in").with("webhook-request-origin", "b.test"),
            "200 - ".into(),
        ),
        (
            "cloudevents",
            vec![("allowed_origins", "a.test, b.test")],
            Asked::new("OPTIONS", "/in").with("webhook-request-origin", "c.test"),
            "unexpected_value".into(),
        ),
        (
            "cloudevents",
            vec![],
            Asked::new("OPTIONS", "/in"),
            "no handshake".into(),
        ),
    ];
    for (provider, params, asked, expected) in cases {
        let shown = shown(&of_preset(provider, &params), &asked);
        assert_eq!(
            shown, expected,
            "{provider} {} {}",
            asked.target, asked.body
        );
    }
}

#[test]
fn cloudevents_grants_the_origin_and_the_rate_that_is_configured() {
    for (params, origin, rate) in [
        (vec![], "a.test", "*"),
        (
            vec![("allowed_rate", "120"), ("allowed_origins", "a.test")],
            "a.test",
            "120",
        ),
    ] {
        let asked = Asked::new("OPTIONS", "/in")
            .with("webhook-request-origin", origin)
            .with("webhook-request-rate", "1000")
            .with("webhook-request-callback", "https://evil.test/?grant");
        let shaken = answer(&of_preset("cloudevents", &params), &asked)
            .unwrap()
            .unwrap();
        let headers = shaken.answer.headers;
        assert_eq!(headers["webhook-allowed-origin"], origin);
        assert_eq!(headers["webhook-allowed-rate"], rate);
        assert_eq!(headers["allow"], "POST");
        assert!(shaken.confirmation.is_none());
    }
}

#[test]
fn what_is_long_or_odd_is_not_echoed() {
    let long = "a".repeat(echo::BYTES_MAX + 1);
    let longest = "a".repeat(echo::BYTES_MAX);
    for (challenge, passes) in [
        ("a", true),
        (
            "Validation: Testing client application reachability for subscription Request-Id: 5c4f-1",
            true,
        ),
        ("aZ09-_.~+/=:;,!?@#$%^*()[]{}|", true),
        (longest.as_str(), true),
        (long.as_str(), false),
        ("", false),
        ("<script>alert(1)</script>", false),
        ("a<b", false),
        ("a>b", false),
        ("a&amp;b", false),
        ("a\"b", false),
        ("a'b", false),
        ("a`b", false),
        ("a\\b", false),
        ("a\r\nset-cookie: b", false),
        ("a\tb", false),
        ("a\0b", false),
        ("a\u{7f}b", false),
        ("größe", false),
        ("a\u{202e}b", false),
        ("\u{feff}a", false),
    ] {
        assert_eq!(echo::check(challenge).is_ok(), passes, "{challenge:?}");
        let encoded =
            percent_encoding::utf8_percent_encode(challenge, percent_encoding::NON_ALPHANUMERIC);
        let asked = Asked::new("GET", &format!("/in?challenge={encoded}"));
        let expected = if passes {
            format!("200 text/plain {challenge}")
        } else {
            "bad_challenge".to_owned()
        };
        assert_eq!(shown(&of_preset("dropbox", &[]), &asked), expected);
        let body = serde_json::json!({"type": "url_verification", "challenge": challenge});
        assert_eq!(
            shown(&of_preset("slack", &[]), &Asked::post(&body.to_string())),
            expected
        );
        let mut origin = Asked::new("OPTIONS", "/in");
        origin
            .headers
            .push(Header::new("webhook-request-origin", challenge));
        let in_header = shown(&of_preset("cloudevents", &[]), &origin);
        assert_eq!(in_header == "200 - ", passes, "{challenge:?}");
    }
    let not_text = Asked::new("GET", "/in?challenge=%ff%fe");
    assert_eq!(
        shown(&of_preset("dropbox", &[]), &not_text),
        "bad_challenge"
    );
    let number = Asked::post(r#"{"type":"url_verification","challenge":{"a":1}}"#);
    assert_eq!(shown(&of_preset("slack", &[]), &number), "bad_challenge");
}

#[test]
fn a_refusal_says_where_and_why_and_no_more() {
    let asked = Asked::new("GET", "/in?challenge=%3Cscript%3E");
    let refused = answer(&of_preset("dropbox", &[]), &asked)
        .unwrap()
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "query parameter `challenge` has the character '<', which is not sent back"
    );
    let asked = Asked::new(
        "GET",
        "/in?hub.mode=subscribe&hub.challenge=1&hub.verify_token=near-miss",
    );
    let refused = answer(&of_preset("meta", &[("verify_token", "near-mis")]), &asked)
        .unwrap()
        .unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains("hub.verify_token") && !text.contains("near"),
        "{text}"
    );
}

#[test]
fn of_several_secrets_the_one_that_signed_answers() {
    let preset = preset("zoom").unwrap();
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"p"}}"#;
    let mut answers = vec![];
    for signed_with in ["the-old-secret-of-zoom", "the-new-secret-of-zoom"] {
        let both = ["the-old-secret-of-zoom", "the-new-secret-of-zoom"];
        let alone = build(
            &preset.handshake,
            &preset.scheme,
            &[signed_with],
            &[],
            false,
        )
        .unwrap()
        .0;
        let rotating = build(&preset.handshake, &preset.scheme, &both, &[], false)
            .unwrap()
            .0;
        let asked = Asked::post(body).signed(&preset.scheme, signed_with);
        assert_eq!(shown(&rotating, &asked), shown(&alone, &asked));
        answers.push(shown(&rotating, &asked));
    }
    assert_ne!(answers.first(), answers.last());
}

#[test]
fn a_body_that_is_no_small_json_is_no_handshake() {
    let slack = of_preset("slack", &[]);
    let padding = " ".repeat(64 * 1024);
    for body in [
        String::new(),
        "type=url_verification".to_owned(),
        r#"{"type":"url_verification","challenge":"c""#.to_owned(),
        format!(r#"{{"type":"url_verification","challenge":"c"}}{padding}"#),
        r#"{"type":["url_verification"],"challenge":"c"}"#.to_owned(),
        r#"{"data":{"type":"url_verification"},"challenge":"c"}"#.to_owned(),
        r#"{"type":"url_verification","challenge":"c","type":"event_callback"}"#.to_owned(),
    ] {
        assert!(slack.find(Asked::post(&body).request()).is_none(), "{body}");
    }
    let escaped = r#"{"type":"\u0075rl_verification","challenge":"c"}"#;
    assert_eq!(shown(&slack, &Asked::post(escaped)), "200 text/plain c");
}

#[test]
fn conditions_are_all_needed_and_may_ask_for_absence() {
    let ping = own(
        "name = 'ping'\njson = { '/type' = 1, '/live' = true }\nlacks = ['json:/event/type', 'header:x-event']\n\
         has = ['query:v']\nverify_first = true\nanswer = { json = { type = 1, ok = true, note = 'a{{b}}' } }",
    );
    let target = "/in?v=1";
    let asked = |body: &str| Asked {
        target: target.to_owned(),
        ..Asked::post(body)
    };
    let yes = r#"200 application/json {"note":"a{b}","ok":true,"type":1}"#;
    for (asked, expected) in [
        (asked(r#"{"type":1,"live":true}"#), yes),
        (asked(r#"{"type":1,"live":true,"event":{}}"#), yes),
        (
            asked(r#"{"type":1,"live":true,"event":{"type":"X"}}"#),
            "no handshake",
        ),
        (
            asked(r#"{"type":1,"live":true}"#).with("x-event", ""),
            "no handshake",
        ),
        (asked(r#"{"type":0,"live":true}"#), "no handshake"),
        (asked(r#"{"type":1}"#), "no handshake"),
        (Asked::post(r#"{"type":1,"live":true}"#), "no handshake"),
    ] {
        assert_eq!(shown(&ping, &asked), expected, "{}", asked.body);
    }
}

#[test]
fn the_methods_of_a_source_are_those_of_its_handshakes_and_post() {
    assert_eq!(Handshakes::default().allow(), "POST");
    assert_eq!(of_preset("slack", &[]).allow(), "POST");
    assert_eq!(
        of_preset("meta", &[("verify_token", "t")]).allow(),
        "GET, POST"
    );
    assert_eq!(of_preset("cloudevents", &[]).allow(), "OPTIONS, POST");
    assert!(of_preset("intercom", &[]).want("HEAD") && !of_preset("intercom", &[]).want("GET"));
}

#[test]
fn a_handshake_without_its_parameter_is_off_and_says_so() {
    let preset = preset("meta").unwrap();
    let (handshakes, off) =
        build(&preset.handshake, &preset.scheme, &[SECRET], &[], false).unwrap();
    assert_eq!(handshakes.names().count(), 0);
    let expected = Off {
        handshake: "subscribe".to_owned(),
        param: "verify_token".to_owned(),
    };
    assert_eq!(off, [expected]);
    assert!(!handshakes.want("GET"));
}

const CONFIRM: &str = "name = 'subscription'\njson = { '/Type' = 'SubscriptionConfirmation' }\nverify_first = true\n\
     expect = { value = 'json:/TopicArn', param = 'topics', list = true }\n\
     confirm = { url = 'json:/SubscribeURL', hosts = ['^sns[.][a-z]+-[a-z]+-[0-9][.]amazonaws[.]com$'] }";

#[test]
fn a_url_to_confirm_is_judged_before_the_answer() {
    let scheme = preset("generic").unwrap().scheme.clone();
    let rules = [rule(CONFIRM)];
    let topics = [("topics", "arn:a arn:b")];
    let handshakes = build(&rules, &scheme, &[SECRET], &topics, true).unwrap().0;
    let asked = |topic: &str, url: &str| {
        let body = serde_json::json!({"Type": "SubscriptionConfirmation", "TopicArn": topic, "SubscribeURL": url});
        Asked::post(&body.to_string())
    };
    let good = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=hush";
    for (asked, expected) in [
        (asked("arn:b", good), "200 - "),
        (asked("arn:c", good), "unexpected_value"),
        (
            asked("arn:a", "http://sns.eu-west-1.amazonaws.com/"),
            "bad_url",
        ),
        (asked("arn:a", "https://evil.test/"), "bad_url"),
        (asked("arn:a", "https://169.254.169.254/"), "bad_url"),
        (asked("arn:a", "x"), "bad_url"),
        (
            Asked::post(r#"{"Type":"SubscriptionConfirmation","TopicArn":"arn:a"}"#),
            "bad_challenge",
        ),
        (
            Asked::post(r#"{"Type":"Notification","TopicArn":"arn:a"}"#),
            "no handshake",
        ),
    ] {
        assert_eq!(shown(&handshakes, &asked), expected, "{}", asked.body);
    }
    let shaken = answer(&handshakes, &asked("arn:a", good)).unwrap().unwrap();
    let confirmation = shaken.confirmation.unwrap();
    assert_eq!(confirmation.url, good);
    assert!(!format!("{confirmation:?}").contains("hush"));

    let not_asked_for = build(&rules, &scheme, &[SECRET], &topics, false).unwrap().0;
    assert_eq!(shown(&not_asked_for, &asked("arn:a", good)), "no handshake");
    let errors = build(&rules, &scheme, &[SECRET], &[], true).err().unwrap();
    assert_eq!(errors.first().unwrap().param.as_deref(), Some("topics"));
}

#[test]
fn a_rule_that_cannot_work_says_why() {
    let scheme = preset("generic").unwrap().scheme.clone();
    for (text, expected) in [
        (
            "name = 'a b'\nmethod = 'GET'\nverify_first = false",
            "has no name that a metric can carry",
        ),
        (
            "name = 'a'\nverify_first = false",
            "would take every event for itself",
        ),
        (
            "name = 'a'\nverify_first = false\nlacks = ['json:/a']",
            "would take every event for itself",
        ),
        (
            "name = 'a'\nmethod = 'GET'\njson = { '/a' = 1 }\nverify_first = false",
            "has a condition on a body",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nhas = ['json:/a']\nverify_first = false",
            "has a condition on a body",
        ),
        (
            "name = 'a'\njson = { 'a' = 1 }\nverify_first = false",
            "which is no JSON Pointer",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer = { status = 302 }",
            "an answer that is no success",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer = { text = 'a', json = {} }",
            "has two bodies",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer.headers = { Set-Cookie = 'a' }",
            "`Set-Cookie`, which cannot be set",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer.headers = { 'a b' = 'a' }",
            "`a b`, which cannot be set",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer.headers = { a = \"b\\nc\" }",
            "a value for `a` that no header can have",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nanswer.text = '{hmac-sha256-hex:secret,query:a}'",
            "would sign what anybody asks for",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = false\nconfirm = { url = 'query:a', hosts = ['a.test'] }",
            "would fetch what anybody asks for",
        ),
        (
            "name = 'a'\nmethod = 'GET'\nverify_first = true\nconfirm = { url = 'query:a', hosts = [] }",
            "may fetch nothing",
        ),
    ] {
        let errors = build(&[rule(text)], &scheme, &[SECRET], &[], true).err();
        let errors = errors.unwrap_or_else(|| panic!("{text}"));
        assert!(
            errors
                .iter()
                .any(|error| error.to_string().contains(expected)),
            "{text}: {errors:?}"
        );
        assert!(errors.iter().all(|error| !error.hint.is_empty()));
    }
    let twice = [
        rule("name = 'a'\nmethod = 'GET'\nverify_first = false"),
        rule("name = 'a'\nmethod = 'HEAD'\nverify_first = false"),
    ];
    let errors = build(&twice, &scheme, &[SECRET], &[], true).err().unwrap();
    assert!(
        errors
            .first()
            .unwrap()
            .to_string()
            .contains("stands there twice")
    );
}

#[test]
fn a_rule_that_cannot_be_read_says_why() {
    for (text, expected) in [
        ("name = 'a'\nmethod = 'GET'", "verify_first"),
        (
            "name = 'a'\nmethod = 'PATCH'\nverify_first = false",
            "PATCH",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { content_type = 'text/html' }",
            "text/html",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{query:a' }",
            "lone brace",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = 'a}' }",
            "lone brace",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{body}' }",
            "is not a placeholder",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{query:}' }",
            "names no place",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{header:a b}' }",
            "names no place",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{json:a}' }",
            "names no place",
        ),
        (
            "name = 'a'\nverify_first = false\nanswer = { text = '{hmac-sha256-hex:key,query:a}' }",
            "is not a placeholder",
        ),
        (
            "name = 'a'\nverify_first = false\njson = { '/a' = 1.5 }",
            "a string, whole number or boolean",
        ),
        (
            "name = 'a'\nverify_first = false\nconfirm = { url = 'json:/a', hosts = ['^a'] }",
            "names no hosts",
        ),
    ] {
        let error = toml::from_str::<Rule>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn texts_are_read_as_they_are_written() {
    let text: Text = "a{{b}}{param:c}d".to_owned().try_into().unwrap();
    assert_eq!(text.0.len(), 3);
    let value: JsonValue =
        toml::from_str::<BTreeMap<String, JsonValue>>("a = 1").unwrap()["a"].clone();
    assert_eq!(value, JsonValue::Fixed(1.into()));
    let scalar: Scalar =
        toml::from_str::<BTreeMap<String, Scalar>>("a = true").unwrap()["a"].clone();
    assert_eq!(scalar, Scalar("true".to_owned()));
}

#[test]
fn what_is_asked_as_a_provider_would_is_answered() {
    let mut asked = 0;
    for preset in provider::names().filter_map(provider::preset) {
        for rule in preset
            .handshake
            .iter()
            .filter(|rule| rule.confirm.is_none())
        {
            let params: BTreeMap<String, String> = rule
                .param_names()
                .map(|name| (name.to_owned(), "1".to_owned()))
                .collect();
            let pairs: Vec<(&str, &str)> = params
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let handshakes = of_preset(preset.name, &pairs);
            let ask = ask(rule, &params, "a-challenge");
            let request = Asked {
                method: ask.method,
                target: format!("/in?{}", ask.query),
                headers: ask.headers,
                body: ask.body,
            };
            let question = handshakes.find(request.request());
            let question = question.unwrap_or_else(|| panic!("{} {}", preset.name, rule.name));
            assert_eq!(**question.shake.name(), *rule.name);
            question.answer(NOW_MS).unwrap();
            asked += 1;
        }
    }
    assert!(asked >= 8);
}

proptest::proptest! {
    #[test]
    fn whatever_comes_in_what_goes_out_is_short_and_plain(
        method in proptest::sample::select(vec!["GET", "HEAD", "OPTIONS", "POST"]),
        query in "(hub\\.mode=subscribe&hub\\.verify_token=1&)?(hub\\.challenge|challenge|validationToken)=[ -~]{0,40}|\\PC{0,40}",
        header in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        challenge in "\\PC{0,600}|[a-z]{1,40}",
        raw in proptest::option::of(proptest::collection::vec(proptest::num::u8::ANY, 0..200)),
    ) {
        let kinds = ["url_verification", "URL_VERIFICATION", "endpoint.url_validation", "SubscriptionConfirmation"];
        for preset in provider::names().filter_map(provider::preset).filter(|preset| !preset.handshake.is_empty()) {
            let names = preset.handshake.iter().flat_map(Rule::param_names);
            let params: Vec<(&str, &str)> = names.map(|name| (name, "1")).collect();
            let handshakes = of_preset(preset.name, &params);
            for kind in kinds {
                let json = serde_json::json!({
                    "type": kind, "event": kind, "Type": kind, "challenge": challenge, "token": "1",
                    "payload": {"plainToken": challenge},
                });
                let body = raw.clone().unwrap_or_else(|| json.to_string().into_bytes());
                let value = bytes::Bytes::from(header.clone());
                let headers = ["webhook-request-origin", "x-okta-verification-challenge"]
                    .map(|name| Header { name: name.to_owned(), value: value.clone() });
                let target = format!("/in?{query}");
                let request = Request { method, target: &target, headers: &headers, body: &body };
                let Some(Ok(shaken)) = handshakes.find(request).map(|question| question.answer(NOW_MS)) else {
                    continue;
                };
                let answer = shaken.answer;
                let text = std::str::from_utf8(&answer.body).unwrap();
                proptest::prop_assert!(text.len() <= echo::BYTES_MAX + 200);
                proptest::prop_assert!(text.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
                proptest::prop_assert!(!text.contains(['<', '>', '&', '\'', '`']));
                for value in answer.headers.values() {
                    proptest::prop_assert!(value.to_str().is_ok_and(|text| !text.contains(['\r', '\n', '<'])));
                }
            }
        }
    }
}
