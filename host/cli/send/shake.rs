//! `hookswitch send --handshake`: asks as the provider does before it sends events, and judges the answer.
//!
//! What is right is worked out here from the preset's own rule, so that the source's configuration, proxies on the
//! way and TLS are what is put to the test.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use serde_json::Value;

use super::{
    Answer, Args, Outgoing, TIMEOUT, args, path_of, sign_usage, target, with_query, without_query,
};
use crate::event::Header;
use crate::fetch::Policy;
use crate::handshake::ask::ask;
use crate::handshake::{self, Given, Handshakes, Rule, take_values};
use crate::provider::Preset;
use crate::verify::{Request, sign};

use super::super::verify::{USAGE, secret};
use crate::clock::unix_ms;

/// Headers of an answer that no provider looks at.
const NOT_LOOKED_AT: [&str; 2] = ["cache-control", "x-content-type-options"];

pub(super) async fn execute(args: &Args, name: &str) -> anyhow::Result<ExitCode> {
    let challenge = uuid::Uuid::now_v7().simple().to_string();
    let (outgoing, right) = match prepare(args, name, &challenge, unix_ms()) {
        Ok(prepared) => prepared,
        Err(usage) => {
            anstream::eprintln!("{usage}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let answer = tokio::time::timeout(TIMEOUT, outgoing.post())
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            anstream::eprintln!("error: no answer from {}: {error:#}", args.to);
            return Ok(ExitCode::from(1));
        }
    };
    let wrong = compare(&answer, &right);
    let text = if args.json {
        serde_json::json!({
            "url": without_query(&outgoing.uri),
            "handshake": name,
            "right": wrong.is_empty(),
            "wrong": wrong,
            "status": answer.status.as_u16(),
            "body": answer.body,
        })
        .to_string()
    } else {
        text(&outgoing, name, &answer, &wrong)
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The request, and what a source with the same preset, secrets and parameters answers to it.
pub(super) fn prepare(
    args: &Args,
    name: &str,
    challenge: &str,
    now_ms: u64,
) -> Result<(Outgoing, handshake::Answer), args::Usage> {
    let preset = args::preset(&args.provider)?;
    let rule = rule(preset, name)?;
    let secrets = secret::read_all(&args.secrets)?;
    let mut params = super::params(args);
    let values = take_values(&preset.handshake, &preset.scheme, &mut params);
    let asked = ask(rule, &values, challenge);

    let mut uri = target(&args.to)?;
    if !asked.query.is_empty() {
        let joint = if args.to.contains('?') { '&' } else { '?' };
        uri = target(&format!("{}{joint}{}", args.to, asked.query))?;
    }
    let mut headers = asked.headers;
    let body = Bytes::from(asked.body);
    if rule.verify_first {
        let path = path_of(&uri);
        let request = Request {
            method: asked.method,
            target: &path,
            headers: &headers,
            body: &body,
        };
        let signed =
            sign::sign(&preset.scheme, &secrets, &params, request, now_ms).map_err(sign_usage)?;
        headers.extend(
            signed
                .headers
                .into_iter()
                .map(|(name, value)| Header::new(name, value)),
        );
        if !signed.query.is_empty() {
            uri = with_query(&uri.to_string(), &signed.query)?;
        }
    }
    let nowhere = Policy {
        hosts: vec![],
        allow_private: vec![],
        bytes_max: 0,
        timeout: TIMEOUT,
    };
    let secrets = sign::checking(&secrets);
    let given = Given {
        scheme: &preset.scheme,
        secrets: &secrets,
        params: &params,
        values: &values,
        fetch: Some(&nowhere),
    };
    let rules = [rule.clone()];
    let (handshakes, off) = Handshakes::new(&rules, given)
        .map_err(|errors| usage_of(errors.iter().map(ToString::to_string)))?;
    if let Some(off) = off.first() {
        return Err(args::Usage::new(format!(
            "the handshake `{name}` needs the parameter `{}`",
            off.param
        ))
        .hint(format!(
            "give the source's own: `--param {}=...`",
            off.param
        )));
    }
    let path = path_of(&uri);
    let request = Request {
        method: asked.method,
        target: &path,
        headers: &headers,
        body: &body,
    };
    let question = handshakes.find(request).ok_or_else(|| {
        args::Usage::new(format!("the URL `{}` makes no handshake of it", args.to))
    })?;
    let right = question
        .answer(now_ms)
        .map_err(|refused| usage_of(std::iter::once(refused.to_string())))?
        .answer;
    let mut outgoing = Outgoing {
        method: asked.method.parse().unwrap_or_default(),
        uri,
        headers,
        body,
        event_id: None,
        event_type: String::new(),
        tampered: args.tamper,
    };
    if args.tamper {
        outgoing.tamper_blindly();
    }
    Ok((outgoing, right))
}

fn usage_of(messages: impl Iterator<Item = String>) -> args::Usage {
    args::Usage::new(messages.collect::<Vec<_>>().join("; "))
}

fn rule<'p>(preset: &'p Preset, name: &str) -> Result<&'p Rule, args::Usage> {
    let found = preset.handshake.iter().find(|rule| rule.name == name);
    found.ok_or_else(|| {
        let provider = preset.name;
        let usage = args::Usage::new(format!("`{provider}` has no handshake `{name}`"));
        let known: Vec<&str> = preset
            .handshake
            .iter()
            .map(|rule| rule.name.as_str())
            .collect();
        match known.as_slice() {
            [] => usage.hint("it sends events without asking first"),
            known => usage.hint(format!("there are: {}", known.join(", "))),
        }
    })
}

/// What a provider would not like about the answer.
pub(super) fn compare(answer: &Answer, right: &handshake::Answer) -> Vec<String> {
    let mut wrong = vec![];
    if answer.status.as_u16() != right.status {
        wrong.push(format!(
            "the status is {} and not {}",
            answer.status.as_u16(),
            right.status
        ));
    }
    for (name, value) in &right.headers {
        let same = |got: &http::HeaderValue| {
            let media_type = |value: &http::HeaderValue| {
                let text = value.to_str().unwrap_or_default();
                text.split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_ascii_lowercase()
            };
            got == value
                || name == http::header::CONTENT_TYPE && media_type(got) == media_type(value)
        };
        let got = answer.headers.get(name);
        if !NOT_LOOKED_AT.contains(&name.as_str()) && !got.is_some_and(same) {
            let wanted = value.to_str().unwrap_or_default();
            wrong.push(match got.and_then(|got| got.to_str().ok()) {
                Some(got) => format!("the header `{name}` is `{got}` and not `{wanted}`"),
                None => format!("the header `{name}: {wanted}` is missing"),
            });
        }
    }
    let wanted = String::from_utf8_lossy(&right.body);
    if answer.body != wanted {
        let parsed: Result<Value, _> = serde_json::from_str(&answer.body);
        if !parsed
            .is_ok_and(|got| serde_json::from_str(&wanted).is_ok_and(|wanted: Value| got == wanted))
        {
            wrong.push(format!("the body is not `{wanted}`"));
        }
    }
    wrong
}

fn text(outgoing: &Outgoing, name: &str, answer: &Answer, wrong: &[String]) -> String {
    let mut text = format!(
        "{} {} ({} bytes{})\n  handshake: {name}\n-> {}",
        outgoing.method,
        without_query(&outgoing.uri),
        outgoing.body.len(),
        if outgoing.tampered {
            ", tampered with"
        } else {
            ""
        },
        answer.status,
    );
    if !answer.body.is_empty() {
        text.push('\n');
        text.push_str(&answer.body);
    }
    if wrong.is_empty() {
        text.push_str("\nright: this is what the provider wants to hear");
    }
    for one in wrong {
        text.push_str("\nwrong: ");
        text.push_str(one);
    }
    text
}
