#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

fn diagnostics() -> Diagnostics {
    let mut diagnostics = Diagnostics::new(Path::new("routes.toml"), "a = 1\nü = \"bee\" # x\n");
    diagnostics.push(
        Diagnostic::warning("second", "the bee is loud")
            .at(11..16)
            .label("this one")
            .related(0..1, "because of this")
            .hint("ask it"),
    );
    diagnostics.push(Diagnostic::error("first", "no place"));
    diagnostics
}

#[test]
fn findings_are_rendered_with_place_caret_and_hint() {
    let expected = "\
error[first]: no place
--> routes.toml

warning[second]: the bee is loud
 --> routes.toml:2:5
  |
1 | a = 1
  | - because of this
2 | ü = \"bee\" # x
  |     ^^^^^ this one
  |
  = help: ask it

";
    assert_eq!(diagnostics().render(false), expected);
    assert!(diagnostics().render(true).contains("\u{1b}["));
}

#[test]
fn findings_are_data_for_programs() {
    let json = diagnostics().to_json();
    assert_eq!(json[0]["code"], "first");
    assert_eq!(json[0]["line"], serde_json::Value::Null);
    assert_eq!(json[1]["severity"], "warning");
    assert_eq!(
        (&json[1]["line"], &json[1]["column"]),
        (&2.into(), &5.into())
    );
    assert_eq!(json[1]["hint"], "ask it");
}

#[test]
fn errors_and_warnings_are_counted_apart() {
    assert!(diagnostics().has_errors());
    assert_eq!(diagnostics().count(Severity::Error), 1);
    assert_eq!(diagnostics().count(Severity::Warning), 1);
}

#[test]
fn any_span_can_be_rendered() {
    let source = "ü\nb";
    for start in 0..6 {
        for end in 0..6 {
            let mut diagnostics = Diagnostics::new(Path::new("f"), source);
            diagnostics.push(Diagnostic::error("c", "m").at(start..end));
            assert!(
                diagnostics.render(false).contains("error[c]: m"),
                "{start} {end}"
            );
            let _ = diagnostics.to_json();
        }
    }
}

#[test]
fn slips_of_the_hand_find_their_name() {
    let known = ["listen", "admin", "tls", "max_body", "to"];
    for (slip, expected) in [
        ("lisen", Some("listen")),
        ("Listen", Some("listen")),
        ("max_bdoy", Some("max_body")),
        ("tsl", Some("tls")),
        ("t", Some("to")),
        ("colour", None),
        ("x", None),
    ] {
        assert_eq!(nearest(slip, known), expected, "{slip}");
    }
}
