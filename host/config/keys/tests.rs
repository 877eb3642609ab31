//! Tests of `keys`: tables in, verdicts out.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::config::units;

#[test]
fn every_default_is_within_its_limits() {
    for key in SECTIONS.iter().flat_map(|section| section.keys()) {
        let Presence::Default(text) = key.presence else {
            continue;
        };
        let name = key.name;
        match key.kind {
            Kind::Duration(min, max) => {
                let of = |text| units::duration(text).unwrap();
                assert!((of(min)..=of(max)).contains(&of(text)), "{name}");
            }
            Kind::Size(min, max) => {
                let of = |text| units::size(text).unwrap();
                assert!((of(min)..=of(max)).contains(&of(text)), "{name}");
            }
            Kind::Integer(min, max) => {
                assert!((min..=max).contains(&text.parse().unwrap()), "{name}");
            }
            Kind::Bool => assert!(matches!(text, "true" | "false"), "{name}"),
            Kind::Choice(of) => assert!(of.contains(&text), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn no_section_has_a_key_twice() {
    for section in SECTIONS {
        let mut names: Vec<&str> = section.keys().map(|key| key.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{}", section.header);
    }
}

#[test]
fn the_limits_of_plugins_are_those_that_the_plugin_host_documents() {
    let defaults = crate::config::keys::LIMITS
        .keys()
        .map(|key| match key.presence {
            Presence::Default(text) => (key.name, text),
            _ => (key.name, ""),
        })
        .collect::<Vec<_>>();
    let expected = [
        ("time", "50ms"),
        ("memory", "32MiB"),
        ("output", "1MiB"),
        ("messages", "16"),
        ("log_lines", "64"),
        ("host_calls", "4096"),
    ];
    assert_eq!(defaults, expected);
}

#[test]
fn the_reference_page_is_what_the_loader_knows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/routes.md");
    let page = reference();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == page,
        "docs/reference/routes.md is stale: BLESS=1 writes it anew"
    );
}

/// Every key that the loader reads is asked for by name; here its source is searched for the names.
#[test]
fn every_key_is_read_by_the_loader_and_every_key_that_is_read_is_known() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/host/config/resolve");
    let mut code = std::fs::read_to_string(format!("{folder}.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        code.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let known: Vec<&str> = SECTIONS
        .iter()
        .flat_map(|section| section.keys())
        .map(|key| key.name)
        .collect();
    for key in &known {
        assert!(
            code.contains(&format!("\"{key}\"")),
            "`{key}` is documented and never read"
        );
    }
    let readers = [
        "text",
        "choice",
        "boolean",
        "integer",
        "count",
        "duration",
        "size",
        "memory",
        "texts",
        "text_or_texts",
        "text_map",
        "table",
        "entries_of",
        "named_tables",
        "table_list",
        "has",
    ];
    for reader in readers {
        for (_, rest) in code
            .match_indices(&format!(".{reader}(\""))
            .map(|(at, m)| (at, &code[at + m.len()..]))
        {
            let key = rest.split('"').next().unwrap();
            assert!(known.contains(&key), "`{key}` is read and not documented");
        }
    }
}
