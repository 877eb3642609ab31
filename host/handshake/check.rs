//! Checking: does a rule make sense by itself, whatever source it is for?

use http::header::HeaderName;

use super::place::Place;
use super::rule::{AnswerRule, Method, Rule};
use super::text::Part;

/// Longest name of a handshake; it is a label of metrics.
const NAME_BYTES_MAX: usize = 64;

/// Headers that are the answer's own, or would make more of it than an answer.
const OWN_HEADERS: [&str; 10] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "location",
    "refresh",
    "set-cookie",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
];

/// A rule that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake `{handshake}` {what}")]
pub struct BadHandshake {
    /// Its name.
    pub handshake: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
    /// The source's parameter that is missing, if it is that.
    pub param: Option<String>,
}

impl BadHandshake {
    pub(super) fn new(rule: &Rule, what: impl Into<String>, hint: &'static str) -> Self {
        Self {
            handshake: rule.name.clone(),
            what: what.into(),
            hint,
            param: None,
        }
    }
}

/// All that is wrong with a rule.
pub(super) fn check(rule: &Rule) -> Vec<BadHandshake> {
    let mut errors = vec![];
    let mut bad = |what: String, hint| errors.push(BadHandshake::new(rule, what, hint));
    name(rule, &mut bad);
    conditions(rule, &mut bad);
    answer(&rule.answer, &mut bad);
    trust(rule, &mut bad);
    errors
}

/// Takes what is wrong, and what to do.
type Bad<'b> = dyn FnMut(String, &'static str) + 'b;

fn name(rule: &Rule, bad: &mut Bad<'_>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !(1..=NAME_BYTES_MAX).contains(&rule.name.len()) || !rule.name.chars().all(fits) {
        bad(
            "has no name that a metric can carry".to_owned(),
            "names have 1 to 64 ASCII letters, digits, hyphens and underscores",
        );
    }
}

fn conditions(rule: &Rule, bad: &mut Bad<'_>) {
    let mut places = rule.has.iter().chain(&rule.lacks);
    let body = !rule.json.is_empty() || places.any(|place| matches!(place, Place::Json(_)));
    if rule.method == Method::Post {
        let no_value = rule.json.is_empty() && rule.query.is_empty() && rule.header.is_empty();
        if no_value && rule.has.is_empty() {
            bad(
                "would take every event for itself: it has no condition".to_owned(),
                "such as `json = { \"/type\" = \"url_verification\" }`",
            );
        }
    } else if body {
        bad(
            "has a condition on a body that its method does not have".to_owned(),
            "use `method = \"POST\"`",
        );
    }
    for pointer in rule.json.keys().filter(|pointer| !pointer.starts_with('/')) {
        bad(
            format!("has a condition on `{pointer}`, which is no JSON Pointer"),
            "a JSON Pointer begins with a slash, such as `/type`",
        );
    }
}

fn answer(answer: &AnswerRule, bad: &mut Bad<'_>) {
    if !(200..300).contains(&answer.status) {
        bad(
            "has an answer that is no success".to_owned(),
            "`status` is from 200 to 299",
        );
    }
    if answer.text.is_some() && answer.json.is_some() {
        bad(
            "has two bodies".to_owned(),
            "`answer` has either `text` or `json`",
        );
    }
    for name in answer.headers.keys() {
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(lower.as_bytes()).is_err()
            || OWN_HEADERS.contains(&lower.as_str())
        {
            bad(
                format!("has a header `{name}`, which cannot be set"),
                "for the body's type there is `content_type`",
            );
        }
    }
}

/// What nobody may ask for who has not signed.
fn trust(rule: &Rule, bad: &mut Bad<'_>) {
    const HINT: &str = "set `verify_first = true`";
    let is_mac = |part: &Part| matches!(part, Part::Mac(..));
    let signs = rule.answer.texts().any(|text| text.0.iter().any(is_mac));
    if signs && !rule.verify_first {
        let what = "would sign what anybody asks for: it answers with a MAC without `verify_first`";
        bad(what.to_owned(), HINT);
    }
    let Some(confirm) = &rule.confirm else {
        return;
    };
    if !rule.verify_first {
        let what = "would fetch what anybody asks for: it has `confirm` without `verify_first`";
        bad(what.to_owned(), HINT);
    }
    if confirm.hosts.is_empty() {
        let what = "may fetch nothing: `confirm` names no `hosts`";
        bad(what.to_owned(), "name at least one");
    }
}
