//! Keys that requests name, fetched by the running program from a local HTTPS server.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookswitch::secret::Secret;
use hookswitch::verify::{Params, Request as Signable, Scheme, sign};
use http::Request;
use http_body_util::Full;

use crate::support::host::Host;
use crate::support::https::HttpsServer;
use crate::support::sender::{Answer, Client};

const PRIVATE: &str = include_str!("../../fixtures/verify/keys/p256.pem");
const PUBLIC: &str = include_str!("../../fixtures/verify/keys/p256.pub.pem");

const SCHEME: &str = r#"
kind = "signature"
alg = "ecdsa-p256-sha256"
signed = ["{body}"]
signature = { header = "X-Signed", encoding = "base64" }
event_id = ["hash:body"]
"#;

/// The public key as a key set.
fn key_set() -> String {
    let base64: String = PUBLIC
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let der = STANDARD.decode(base64).unwrap();
    // The point stands at the end, behind its form.
    let (x, y) = der[der.len() - 64..].split_at(32);
    serde_json::json!({"keys": [{
        "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]})
    .to_string()
}

fn source(name: &str, port: u16, more: &str) -> String {
    format!(
        "[sources.{name}]\npath = \"/{name}\"\nfetch_keys = true\n[sources.{name}.scheme]{SCHEME}\
         [sources.{name}.scheme.key_source]\nat = [\"header:X-Key\"]\nhosts = [\"localhost:{port}\"]\n\
         path_suffix = \".json\"\nformat = \"jwks\"\n{more}\n"
    )
}

async fn post(host: &Host, client: &Client, source: &str, key: &str, body: &str) -> Answer {
    let scheme: Scheme = toml::from_str(SCHEME).unwrap();
    let signable = Signable {
        method: "POST",
        target: "/",
        headers: &[],
        body: body.as_bytes(),
    };
    let secrets = [Secret::new(PRIVATE)];
    let signed = sign::sign(&scheme, &secrets, &Params::default(), signable, 0).unwrap();
    let mut request = Request::post(host.url(&format!("/{source}"))).header("x-key", key);
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::from(body.to_owned())).unwrap();
    client.send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_request_names_is_fetched_once_and_only_from_where_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key_set();
    let server = HttpsServer::start(dir.path(), move |target| match target {
        target if target.starts_with("/good") => (200, keys.clone()),
        "/busy.json" => (503, String::new()),
        "/nonsense.json" => (200, "[]".to_owned()),
        _ => (404, String::new()),
    })
    .await;
    let port = server.port;
    let open = "allow_private = [\"127.0.0.0/8\", \"::1/128\"]";
    let config = format!(
        "[storage]\npath = \"data\"\n{}{}{}\
         [sinks.all]\ntype = \"file\"\npath = \"all.jsonl\"\n\
         [[routes]]\nname = \"all\"\nfrom = [\"open\", \"flooded\", \"public\"]\nto = [\"all\"]\n",
        source("open", port, open),
        source("flooded", port, open),
        source("public", port, ""),
    );
    let roots = dir.path().join("roots.pem");
    let env = [("SSL_CERT_FILE", roots.to_str().unwrap())];
    let host = Host::start(dir.path(), &config, &env);
    let client = Client::new();
    let url = |path: &str| format!("https://localhost:{port}{path}");

    // Requests that come together wait for one fetch; later ones need none.
    let together: Vec<_> = (0..10).map(|n| format!("together {n}")).collect();
    let good = url("/good.json");
    let answers = futures_util::future::join_all(
        together
            .iter()
            .map(|body| post(&host, &client, "open", &good, body)),
    )
    .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let later = post(&host, &client, "open", &good, "later").await;
    assert_eq!(later.status, 200);
    assert_eq!(server.asked("/good.json"), 1);

    // What is wrong about a request, or about where it says its key is, is refused without a fetch.
    for key in [
        "https://evil.example/good.json".to_owned(),
        format!("http://localhost:{port}/good.json"),
        format!("https://localhost:{port}@evil.example/good.json"),
        format!("https://localhost:{}/good.json", port ^ 1),
        url("/good.txt"),
    ] {
        let answer = post(&host, &client, "open", &key, "elsewhere").await;
        assert_eq!(answer.status, 401, "{key}");
    }
    assert_eq!(server.asked("/"), 1);

    // A key that is not there is told from one that cannot be had now.
    for (path, status, code) in [
        ("/missing.json", 401, "unauthorized"),
        ("/nonsense.json", 401, "unauthorized"),
        ("/busy.json", 503, "no_key"),
    ] {
        let answer = post(&host, &client, "open", &url(path), "other").await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.json()["error"]["code"], code, "{path}");
        assert_eq!(server.asked(path), 1);
    }
    let private = post(
        &host,
        &client,
        "public",
        &url("/good.json?x=.json"),
        "private",
    )
    .await;
    assert_eq!(private.status, 503);
    assert!(host.log().contains("no address that may be connected to"));

    // A flood of made-up keys is bounded, and what is kept goes on.
    let mut refused = 0;
    for n in 0..30 {
        let key = url(&format!("/flood-{n}.json"));
        let answer = post(&host, &client, "flooded", &key, "flood").await;
        refused += usize::from(answer.status == 503);
    }
    assert!(refused >= 15, "{refused}");
    assert!(server.asked("/flood") <= 15);
    let kept = post(&host, &client, "open", &good, "kept").await;
    assert_eq!(kept.status, 200);
    assert_eq!(server.asked("/good.json"), 1);
    assert_eq!(host.events(&client, "").await.len(), 12);
}
