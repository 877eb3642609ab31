//! Config errors as the user reads them.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    _limit: Option<u32>,
    _hash: Option<Hash>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    _pointers: Vec<String>,
}

fn check(json: &str, expected: &str) {
    assert_eq!(
        read::<Config>(json).unwrap_err().to_string(),
        expected,
        "{json}"
    );
}

#[test]
fn a_problem_names_the_path_and_never_the_value() {
    check(
        r#"{"_limit":"hunter2"}"#,
        "`_limit`: invalid type: string, expected u32",
    );
    check(
        r#"{"_limit":-7}"#,
        "`_limit`: invalid value: integer, expected u32",
    );
    check(
        r#"{"_hash":"hunter2"}"#,
        "`_hash`: invalid type: string, expected struct Hash",
    );
    check(
        r#"{"_hash":{"_pointers":["/a",5]}}"#,
        "`_hash._pointers[1]`: invalid type: integer, expected a string",
    );
    check(r#"{"_hash":{}}"#, "`_hash`: missing field `_pointers`");
}

#[test]
fn an_unknown_key_is_named_with_those_that_exist() {
    check(
        r#"{"limits":1}"#,
        "`limits`: unknown field `limits`, expected `_limit` or `_hash`",
    );
}

#[test]
fn a_value_that_holds_the_separator_is_still_left_out() {
    check(
        r#"{"_limit":"a, expected \" b"}"#,
        "`_limit`: invalid type: string, expected u32",
    );
}

#[test]
fn a_plugin_without_config_refuses_any_key() {
    assert!(read::<NoConfig>("{}").is_ok());
    assert!(read::<NoConfig>(r#"{"a":1}"#).is_err());
}
