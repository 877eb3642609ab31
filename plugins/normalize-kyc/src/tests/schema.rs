//! Every output against the published schema. The validator knows the words that the schema uses and fails
//! on any other.

use serde_json::Value;

use super::{CASES, json};

pub(super) fn check(value: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/kyc.v1.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    validate(&schema, value, "");
}

fn validate(schema: &Value, value: &Value, at: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "$id" | "title" | "description" => {}
            "const" => assert_eq!(value, rule, "{at}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "type" => {
                let single = [rule.clone()];
                let types = rule.as_array().map_or(&single[..], Vec::as_slice);
                assert!(types.contains(&json!(kind(value))), "{at}: {value}");
            }
            "pattern" => assert!(value.as_str().is_none_or(is_utc), "{at}: {value}"),
            "required" => {
                for key in rule.as_array().unwrap() {
                    assert!(
                        value.get(key.as_str().unwrap()).is_some(),
                        "{at}/{key} is missing"
                    );
                }
            }
            "additionalProperties" => {
                for key in value.as_object().unwrap().keys() {
                    assert!(
                        schema["properties"].get(key).is_some(),
                        "{at}/{key} is not in the schema"
                    );
                }
            }
            "properties" => {
                for (key, below) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        validate(below, value, &format!("{at}/{key}"));
                    }
                }
            }
            "items" => {
                for item in value.as_array().unwrap() {
                    validate(rule, item, &format!("{at}/*"));
                }
            }
            other => panic!("the schema says `{other}`, which this test does not know"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The schema's one pattern.
fn is_utc(text: &str) -> bool {
    text.ends_with('Z')
        && text.as_bytes().get(10) == Some(&b'T')
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// Checks what the files of all golden cases expect, and returns how many messages that were.
pub(super) fn check_cases() -> usize {
    let mut count = 0;
    for provider in std::fs::read_dir(CASES).unwrap() {
        for file in std::fs::read_dir(provider.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if !path.to_string_lossy().ends_with(".expected.json") {
                continue;
            }
            let expected: Value =
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            for message in expected["forward"].as_array().into_iter().flatten() {
                check(&message["body"]);
                count += 1;
            }
        }
    }
    count
}
