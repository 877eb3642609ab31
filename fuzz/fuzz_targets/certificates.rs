//! Certificates, public keys and key sets, as an operator configures them and as they are fetched. Nothing panics.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookswitch_fuzz::secret::Secret;
use hookswitch_fuzz::verify::{KeyRef, Params, Scheme, Verifier};
use hookswitch_fuzz::{NOW_MS, PRESETS, bare};
use libfuzzer_sys::fuzz_target;

/// One that has to be a certificate of SNS, one issued by a known authority, and one that has to be a key set.
static WANTED: LazyLock<Vec<KeyRef>> = LazyLock::new(|| {
    let root = include_str!("../../tests/fixtures/verify/keys/root.crt");
    let wanted = |format: &str, more: &str| {
        let scheme: Scheme = toml::from_str(&format!(
            "kind = 'signature'\nalg = 'rsa-sha256'\nsigned = ['{{body}}']\n\
             signature = {{ at = 'json:/s', encoding = 'base64' }}\n\
             [key_source]\nat = ['json:/u']\nhosts = ['keys.example']\nformat = '{format}'\n{more}"
        ))
        .expect("a scheme");
        let params = Params {
            values: [("ca".to_owned(), root.to_owned())].into(),
            fetch_keys: true,
            ..Params::default()
        };
        let params = if more.contains("ca_param") {
            params
        } else {
            Params {
                fetch_keys: true,
                ..Params::default()
            }
        };
        let verifier = Verifier::new(&scheme, &[], &params).expect("a verifier");
        let body = br#"{"s":"YQ==","u":"https://keys.example/k"}"#;
        let rejection = verifier.verify(bare(body), NOW_MS).expect_err("no key yet");
        *rejection.needs.expect("a key is wanted")
    };
    vec![
        wanted("certificate", "names = ['.amazonaws.com']"),
        wanted("certificate", "ca_param = 'ca'"),
        wanted("jwks", ""),
        wanted("jwks", "pointer = '/key'"),
    ]
});

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

fuzz_target!(|data: &[u8]| {
    let certificate = pem("CERTIFICATE", data);
    for key in WANTED.iter() {
        let _ = key.admit(data, NOW_MS);
        let _ = key.admit(certificate.as_bytes(), NOW_MS);
    }
    let texts = [
        String::from_utf8_lossy(data).into_owned(),
        certificate,
        pem("PUBLIC KEY", data),
        pem("RSA PUBLIC KEY", data),
        STANDARD.encode(data),
    ];
    for preset in PRESETS.iter().filter(|preset| {
        matches!(
            preset.name,
            "aws-sns" | "discord" | "plaid" | "sendgrid" | "standard-webhooks"
        )
    }) {
        for text in &texts {
            let secrets = [Secret::new(text)];
            if let Ok(verifier) = Verifier::new(&preset.scheme, &secrets, &Params::default()) {
                let _ = verifier.verify(bare(data), NOW_MS);
            }
        }
    }
});
