//! Way: one way to prove a request, in a sentence. Pure.
//!
//! Each part of a scheme is a clause. A key for which there is no clause is shown as it stands, and a test finds it.

use toml::{Table, Value};

use super::{plain, table, text, texts};

/// Keys that are told elsewhere: of the whole preset, or as its tolerance.
const ELSEWHERE: [&str; 5] = [
    "body_timestamp",
    "event_id",
    "event_type",
    "dedupe_by",
    "any_of",
];

/// The sentence, without full stop.
pub(super) fn sentence(way: &Table) -> String {
    let mut clauses = vec![proof(way)];
    let mut said: Vec<&str> = vec!["kind", "alg", "alg_from", "signed", "signature", "key"];
    said.extend(["body_hash", "credential", "token", "each"]);
    said.extend(ELSEWHERE);
    for (key, clause) in CLAUSES {
        said.push(key);
        if let Some(value) = way.get(key) {
            clauses.extend(clause(value));
        }
    }
    for (key, value) in way.iter().filter(|(key, _)| !said.contains(&key.as_str())) {
        clauses.push(format!("`{key} = {}`", plain(value)));
    }
    clauses.join("; ")
}

type Clause = fn(&Value) -> Vec<String>;

/// What may follow the proof itself, in this order.
const CLAUSES: [(&str, Clause); 11] = [
    ("timestamp", time),
    ("claims", claims),
    ("key_source", key_source),
    ("require", |value| {
        named(value, |name, wanted| format!("`{name}` must be `{wanted}`"))
    }),
    ("bind", |value| {
        named(value, |place, param| {
            format!("`{place}` must be the parameter `{param}` where that is given")
        })
    }),
    ("unless", |value| {
        let names = value.as_array().into_iter().flatten();
        let shown = names.map(|name| format!("not where there is `{}`", plain(name)));
        shown.collect()
    }),
    ("secret", |value| {
        vec![format!("only secret {} counts", plain(value))]
    }),
    ("coverage", |value| {
        vec![format!("coverage {}", plain(value))]
    }),
    ("opt_in", |value| {
        let name = plain(value);
        vec![format!(
            "off unless `{name} = \"true\"` is among the parameters"
        )]
    }),
    ("if_param", |value| {
        let name = plain(value);
        vec![format!("off unless the parameter `{name}` is given")]
    }),
    ("also", |value| {
        let more = value.as_array().into_iter().flatten();
        let more = more.filter_map(Value::as_table);
        more.map(|way| format!("and also: {}", sentence(way)))
            .collect()
    }),
];

fn named(value: &Value, clause: impl Fn(&str, &str) -> String) -> Vec<String> {
    let pairs = value.as_table().into_iter().flatten();
    pairs
        .map(|(name, value)| clause(name, &plain(value)))
        .collect()
}

fn time(value: &Value) -> Vec<String> {
    let Some(time) = value.as_table() else {
        return Vec::new();
    };
    let place = match (text(time, "claim"), text(time, "at"), text(time, "header")) {
        ("", "", "") => return Vec::new(),
        ("", "", header) => format!("`{header}`"),
        ("", at, _) => format!("`{at}`"),
        (claim, _, _) => format!("the claim `{claim}`"),
    };
    vec![format!("the time is in {place}")]
}

fn claims(value: &Value) -> Vec<String> {
    named(value, |name, wanted| {
        format!("the claim `{name}` must be `{wanted}`")
    })
}

fn key_source(value: &Value) -> Vec<String> {
    let Some(source) = value.as_table() else {
        return Vec::new();
    };
    let hosts: Vec<String> = texts(source, "hosts")
        .iter()
        .map(|host| format!("`{host}`"))
        .collect();
    let named = texts(source, "at");
    let mut clause = format!(
        "`fetch_keys = true` fetches the key, from {} alone",
        hosts.join(", ")
    );
    if let Some(place) = named.first() {
        clause.push_str(&format!(", at the URL in `{place}`"));
    }
    vec![clause]
}

/// What proves the request.
fn proof(way: &Table) -> String {
    let each = match text(way, "each") {
        "" => String::new(),
        list => format!("for each item of `{list}`: "),
    };
    let proof = match text(way, "kind") {
        "static" => credential(way),
        "unverified" => "nothing is checked: everything is let through".to_owned(),
        "jwt" => token(way),
        kind => signed(kind, way),
    };
    format!("{each}{proof}")
}

fn credential(way: &Table) -> String {
    let empty = Table::new();
    let credential = table(way, "credential").unwrap_or(&empty);
    let name = text(credential, "name");
    let name = match parameter(name) {
        Some(param) => format!("whose name is the parameter `{param}`"),
        None => format!("`{name}`"),
    };
    let place = match text(credential, "in") {
        "basic" => "`user:password` in `Authorization: Basic`".to_owned(),
        "bearer" => "the token in `Authorization: Bearer`".to_owned(),
        "query" => format!("the query parameter {name}"),
        "header" => format!("the value of the header {name}"),
        "json" => format!("the field {name} of the body"),
        other => format!("in {other} {name}"),
    };
    format!("the secret is {place}{}", key(way, ""))
}

fn parameter(text: &str) -> Option<&str> {
    text.strip_prefix("{param:")?.strip_suffix('}')
}

fn token(way: &Table) -> String {
    let token = table(way, "token");
    let place = token.map(|token| text(token, "at")).unwrap_or_default();
    let place = match place {
        "json:" => "as the item itself".to_owned(),
        place => format!("in `{place}`"),
    };
    let prefix = match token.map(|token| text(token, "prefix")) {
        None | Some("") => String::new(),
        Some(prefix) => format!(" after `{prefix}`"),
    };
    format!("a JSON Web Token ({}) {place}{prefix}", algorithm(way))
}

fn signed(kind: &str, way: &Table) -> String {
    let parts = texts(way, "signed").concat();
    let algorithm = match algorithm(way).as_str() {
        "" => kind.replace('_', " "),
        algorithm => algorithm.to_owned(),
    };
    let mut sentence = match parts.as_str() {
        "" => algorithm,
        parts => format!("{algorithm} of `{parts}`"),
    };
    sentence.push_str(&key(way, ", the key is the secret"));
    match text(way, "body_hash") {
        "" => {}
        name => sentence.push_str(&format!(", where `{name}` is the hash of the body")),
    }
    if let Some(signature) = table(way, "signature") {
        sentence.push_str(&format!(", {}", place(signature)));
    }
    sentence
}

/// The algorithm, and those that the sender may name.
fn algorithm(way: &Table) -> String {
    let fixed = text(way, "alg").to_uppercase();
    let Some(choice) = table(way, "alg_from") else {
        return fixed;
    };
    let pairs = table(choice, "map").into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(name, alg)| format!("`{name}` {}", plain(alg).to_uppercase()))
        .collect();
    let place = match text(choice, "at") {
        "" => text(choice, "header"),
        at => at,
    };
    let named = format!("what `{place}` names ({})", pairs.join(", "));
    match fixed.as_str() {
        "" => named,
        fixed => format!("{fixed}, or {named},"),
    }
}

/// How a secret's text becomes the key, after `begin`; nothing where it is the text itself.
fn key(way: &Table, begin: &str) -> String {
    let Some(key) = table(way, "key") else {
        return String::new();
    };
    let mut rule = match text(key, "decode") {
        "" | "utf8" => String::new(),
        decode => format!(" decoded from {}", spelled(decode)),
    };
    match text(key, "strip_prefix") {
        "" => {}
        prefix => rule.push_str(&format!(" after `{prefix}`")),
    }
    let mut rule = match rule.as_str() {
        "" => rule,
        _ => format!("{begin}{rule}"),
    };
    match text(key, "refuse_prefix") {
        "" => {}
        prefix => rule.push_str(&format!(", unless it begins with `{prefix}`")),
    }
    rule
}

/// Where a signature stands.
fn place(signature: &Table) -> String {
    let at = match text(signature, "at") {
        "" => text(signature, "header"),
        at => at,
    };
    let key = text(signature, "key");
    let prefix = match text(signature, "prefix") {
        "" => String::new(),
        prefix => format!(" after `{prefix}`"),
    };
    let place = match text(signature, "form") {
        "pairs" => format!("as `{key}=` in the list `{at}`"),
        "pair_sets" => format!("as `{key}=` in the lists `{at}`, each with its own time"),
        "space_list" => format!("in `{at}`, separated by spaces, those{prefix}"),
        "comma_list" => format!("in `{at}`, separated by commas{prefix}"),
        "numbered" => format!("in `{at}-1`, `{at}-2` and so on, one for each key"),
        _ => format!("in `{at}`{prefix}"),
    };
    match text(signature, "encoding") {
        "" => place,
        encoding => format!("{place}, in {}", spelled(encoding)),
    }
}

fn spelled(encoding: &str) -> &str {
    match encoding {
        "hex" => "hexadecimal",
        "base64" => "Base64",
        "base64_url" => "Base64 for URLs",
        other => other,
    }
}
