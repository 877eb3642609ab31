//! The door: what stands before and around verification. Shadow mode, allow-lists behind proxies, client
//! certificates, rates, the log of rejected requests; and hostile requests to the real program.

mod hostile;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch::config::{self, ClientAuth, Rate};
use hookswitch::event::Event;
use hookswitch::ingress::tls::Identity;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;

use crate::ingress::front::{Front, SECRET};
use crate::ingress::raw::{Answer, Raw, ask, post};
use crate::ingress::secure::{Authority, connect, write};
use crate::ingress::signature;

fn attributes(event: &Event) -> Vec<(&str, &str)> {
    let pairs = event.attributes.iter();
    pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

fn signed(headers: &str, body: &str) -> String {
    let signature = signature(body.as_bytes());
    post(
        "/hooks/signed",
        &format!("x-signature: {signature}\r\n{headers}"),
        body,
    )
}

fn forged(headers: &str, body: &str) -> String {
    let headers = format!("x-signature: 00\r\n{headers}");
    post("/hooks/signed", &headers, body)
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

/// A rate that gives nothing back while a test runs.
fn once(burst: u32) -> Rate {
    Rate {
        period: Duration::from_secs(3600),
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

#[tokio::test]
async fn in_shadow_mode_what_is_not_authentic_is_let_through_tagged_and_counted() {
    let front = Front::with(|setup| setup.signed.admission.enforce = false).await;
    let id = "webhook-id: e1\r\n";
    let body = r#"{"type":"paid"}"#;
    assert_eq!(ask(front.address, forged(id, body)).await.status, 200);
    assert_eq!(ask(front.address, signed(id, body)).await.status, 200);
    let events = front.journal.events();
    assert_eq!(
        attributes(&events[0]),
        [
            ("coverage", "none"),
            ("verified", "false"),
            ("rejection", "malformed")
        ]
    );
    // What it says of itself is kept, for routes and people, and believed by nobody: the genuine event of
    // the same id is no duplicate.
    assert_eq!(events[0].kind, "paid");
    assert_eq!(events[0].provider_event_id.as_deref(), Some("e1"));
    assert_eq!(events.len(), 2);
    assert_eq!(
        attributes(&events[1]),
        [("coverage", "full"), ("verified", "true")]
    );
    let series = "hookswitch_unenforced_events_total{source=\"signed\",code=\"malformed\"}";
    assert_eq!(front.count(series), 1);
    let accepted = "hookswitch_accepted_events_total{source=\"signed\"}";
    assert_eq!(front.count(accepted), 2);
    let rejected = front.rejected();
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].enforced, rejected[0].status), (false, 200));
    assert_eq!(rejected[0].code, "malformed");
}

#[tokio::test]
async fn shadow_mode_lifts_no_limit() {
    let front = Front::with(|setup| {
        setup.signed.admission.enforce = false;
        setup.signed.admission.rate = Some(once(2));
        setup.signed.content_types = vec!["application/json".to_owned()];
        setup.signed.body_bytes_max = 1024;
    })
    .await;
    let json = "content-type: application/json\r\n";
    let large = "a".repeat(1025);
    for (request, expected) in [
        (forged("", "{}"), (415, "unsupported_media_type")),
        (forged(json, &large), (413, "body_too_large")),
        (forged(json, "{}"), (429, "rate_limited")),
    ] {
        let answer = ask(front.address, request).await;
        assert_eq!(refused(&answer), (expected.0, expected.1.to_owned()));
    }
    assert!(front.journal.events().is_empty());
}

#[tokio::test]
async fn an_open_source_says_that_nothing_was_verified() {
    let front = Front::start().await;
    assert_eq!(
        ask(front.address, post("/hooks/open", "", "{}"))
            .await
            .status,
        200
    );
    assert_eq!(
        attributes(&front.journal.events()[0]),
        [("coverage", "none"), ("verified", "false")]
    );
}

#[tokio::test]
async fn an_address_that_is_not_on_the_list_is_refused_before_its_body_is_read() {
    let front = Front::with(|setup| {
        setup.open.admission.allow_ips = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;
    let mut raw = Raw::connect(front.address).await;
    // The body never comes, and no `100 Continue` asks for it.
    raw.send("POST /hooks/open HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n")
        .await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(refused(&answer), (403, "address_not_allowed".to_owned()));
    // Nobody's word is taken who is not a proxy of ours.
    for claim in [
        "x-forwarded-for: 192.0.2.1\r\n",
        "forwarded: for=192.0.2.1\r\n",
    ] {
        let answer = ask(front.address, post("/hooks/open", claim, "{}")).await;
        assert_eq!(refused(&answer), (403, "address_not_allowed".to_owned()));
    }
    let series = "hookswitch_refused_requests_total{source=\"open\",code=\"address_not_allowed\"}";
    assert_eq!(front.count(series), 3);
    let rejected = front.rejected();
    assert_eq!(rejected[0].client.to_string(), "127.0.0.1");
    assert_eq!((rejected[2].body_bytes, rejected[2].status), (None, 403));
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let front = Front::with(|setup| {
        setup.trusted_proxies = vec![
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        let allowed = ["192.0.2.0/24", "2001:db8::/32", "127.0.0.0/8"];
        setup.open.admission.allow_ips = allowed.map(|net| net.parse().unwrap()).into();
    })
    .await;
    for (claim, status) in [
        ("x-forwarded-for: 192.0.2.1\r\n", 200),
        ("x-forwarded-for: 203.0.113.9, 192.0.2.1, 10.0.0.1\r\n", 200),
        ("forwarded: for=\"[2001:db8::1]:80\";proto=https\r\n", 200),
        ("x-forwarded-for: 203.0.113.9\r\n", 403),
        ("x-forwarded-for: 192.0.2.1, 203.0.113.9\r\n", 403),
        ("x-forwarded-for: unknown\r\n", 403),
        (
            "x-forwarded-for: 192.0.2.1\r\nforwarded: for=203.0.113.9\r\n",
            403,
        ),
        // The proxy asks by itself, as for its health checks.
        ("", 200),
    ] {
        let answer = ask(front.address, post("/hooks/open", claim, "{}")).await;
        assert_eq!(answer.status, status, "{claim}");
    }
    let rejected = front.rejected();
    let clients: Vec<_> = rejected
        .iter()
        .map(|one| (one.client.to_string(), one.client_is_known))
        .collect();
    let of = |client: &str, is_known| (client.to_owned(), is_known);
    assert_eq!(
        clients,
        [
            of("127.0.0.1", false),
            of("127.0.0.1", false),
            of("203.0.113.9", true),
            of("203.0.113.9", true)
        ]
    );
}

#[tokio::test]
async fn of_what_a_proxy_forwards_only_the_address_is_taken() {
    let front = Front::with(|setup| {
        setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let claims = "x-forwarded-host: evil.example\r\nx-forwarded-proto: https\r\nx-forwarded-prefix: /a\r\n\
                  x-original-url: /hooks/signed\r\nx-http-method-override: DELETE\r\n\
                  forwarded: for=192.0.2.1;host=evil.example;proto=https\r\n";
    let answer = ask(front.address, post("/hooks/open", claims, "{}")).await;
    assert_eq!(answer.status, 200);
    let events = front.journal.events();
    assert_eq!(&*events[0].source, "open");
    assert_eq!(events[0].path, "/hooks/open");
    assert_eq!(
        hookswitch::event::header(&events[0].headers, "host"),
        Some("t")
    );
}

#[tokio::test]
async fn a_rate_is_429_with_the_time_to_wait_before_the_body_is_read() {
    let front = Front::with(|setup| {
        setup.open.admission.rate = Some(once(2));
        setup.signed.admission.rate = Some(once(1));
    })
    .await;
    for _ in 0..2 {
        assert_eq!(
            ask(front.address, post("/hooks/open", "", "{}"))
                .await
                .status,
            200
        );
    }
    let mut raw = Raw::connect(front.address).await;
    raw.send("POST /hooks/open HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n")
        .await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(refused(&answer), (429, "rate_limited".to_owned()));
    let wait = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let wait: u64 = wait.unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    let series = "hookswitch_refused_requests_total{source=\"open\",code=\"rate_limited\"}";
    assert_eq!(front.count(series), 1);
    // Each source has its own, and a forged request costs it as well: nothing is verified before.
    assert_eq!(ask(front.address, forged("", "{}")).await.status, 401);
    assert_eq!(ask(front.address, signed("", "{}")).await.status, 429);
}

#[tokio::test]
async fn who_is_not_on_the_list_does_not_use_up_the_rate() {
    let front = Front::with(|setup| {
        setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        setup.open.admission.allow_ips = vec!["192.0.2.0/24".parse().unwrap()];
        setup.open.admission.rate = Some(once(1));
    })
    .await;
    let from = |address: &str| {
        let claim = format!("x-forwarded-for: {address}\r\n");
        ask(front.address, post("/hooks/open", &claim, "{}"))
    };
    for _ in 0..5 {
        assert_eq!(from("203.0.113.9").await.status, 403);
    }
    assert_eq!(from("192.0.2.1").await.status, 200);
    assert_eq!(from("192.0.2.1").await.status, 429);
}

#[tokio::test]
async fn an_address_that_sends_only_what_is_refused_waits_and_others_are_served() {
    let front = Front::with(|setup| {
        setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        setup.reject_rate = Some(once(3));
    })
    .await;
    let (evil, good) = (
        "x-forwarded-for: 203.0.113.9\r\n",
        "x-forwarded-for: 192.0.2.1\r\n",
    );
    assert_eq!(ask(front.address, forged(evil, "{}")).await.status, 401);
    assert_eq!(
        ask(front.address, post("/nowhere", evil, "{}"))
            .await
            .status,
        404
    );
    assert_eq!(ask(front.address, signed(evil, "{}")).await.status, 200);
    assert_eq!(ask(front.address, forged(evil, "{}")).await.status, 401);
    let answer = ask(front.address, signed(evil, "{}")).await;
    assert_eq!(refused(&answer), (429, "address_limited".to_owned()));
    assert!(answer.head.contains("retry-after: 3"), "{}", answer.head);
    assert_eq!(ask(front.address, signed(good, "{}")).await.status, 200);
    // Who is not known is not held to account, and nobody for being told to wait.
    let unknown = "x-forwarded-for: unknown\r\n";
    for _ in 0..5 {
        assert_eq!(ask(front.address, forged(unknown, "{}")).await.status, 401);
    }
    let series = "hookswitch_refused_requests_total{source=\"none\",code=\"address_limited\"}";
    assert_eq!(front.count(series), 1);
}

#[tokio::test]
async fn a_source_chooses_the_status_of_its_busy_answers() {
    let front = Front::with(|setup| setup.open.busy_status = 429).await;
    let full = hookswitch::journal::AppendError::Full;
    front.journal.set(crate::ingress::journal::Mode::Fail(full));
    let answer = ask(front.address, post("/hooks/open", "", "{}")).await;
    assert_eq!(refused(&answer), (429, "journal_full".to_owned()));
    assert!(answer.head.contains("retry-after: 30"), "{}", answer.head);
    // Nothing is wrong with the request, so its body is not kept: it comes again.
    let rejected = front.rejected();
    assert_eq!(
        (rejected[0].body.len(), rejected[0].body_bytes),
        (0, Some(2))
    );
}

#[tokio::test]
async fn the_log_of_rejected_requests_tells_why_and_shows_no_credential() {
    let front = Front::start().await;
    let body = format!("{{\"a\":\"{}\"}}", "b".repeat(5000));
    let headers =
        "authorization: Bearer 0123456789abcdef\r\ncookie: a=hunter2\r\nuser-agent: Didit/2\r\n";
    let wrong = "x-signature: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n";
    let request = post("/hooks/signed?a=1", &format!("{headers}{wrong}"), &body);
    assert_eq!(ask(front.address, request).await.status, 401);
    let request = post(&format!("/hooks/token?token={SECRET}x"), "", "{}");
    assert_eq!(ask(front.address, request).await.status, 401);
    assert_eq!(
        ask(front.address, post("/nowhere", "", "{}")).await.status,
        404
    );
    ask(front.address, "garbage\r\n\r\n").await;

    let rejected = front.rejected();
    let told: Vec<_> = rejected
        .iter()
        .map(|one| (one.number, &*one.source, one.code.as_str(), one.status))
        .collect();
    assert_eq!(
        told,
        [
            (4, "none", "bad_request", 400),
            (3, "none", "not_found", 404),
            (2, "token", "bad_credential", 401),
            (1, "signed", "bad_signature", 401)
        ]
    );
    assert!(
        rejected
            .iter()
            .all(|one| one.client.is_loopback() && one.at_ms > 0)
    );
    assert_eq!(rejected[0].method, "");
    assert_eq!(rejected[1].path, "/nowhere");
    assert_eq!(rejected[2].query, "token=****ughx");
    let first = &rejected[3];
    assert!(first.detail.contains("x-signature"), "{}", first.detail);
    assert_eq!(
        (first.method.as_str(), first.query.as_str()),
        ("POST", "a=1")
    );
    assert_eq!((first.body.len(), first.body_bytes), (4096, Some(5008)));
    assert_eq!(first.body, body.as_bytes()[..4096]);
    let header = |name: &str| {
        let mut all = first.headers.iter();
        all.find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("authorization"), Some("Bearer ****cdef"));
    assert_eq!(header("cookie"), Some("****"));
    assert_eq!(header("x-signature"), Some("****eeff"));
    assert_eq!(header("user-agent"), Some("Didit/2"));
    assert!(!format!("{rejected:?}").contains(SECRET));
}

#[tokio::test]
async fn a_flood_on_one_source_leaves_the_others_rejections_and_events_alone() {
    let front = Front::start().await;
    assert_eq!(
        ask(front.address, post("/hooks/token?token=no", "", "{}"))
            .await
            .status,
        401
    );
    let flood: Vec<_> = (0..8)
        .map(|_| {
            let address = front.address;
            tokio::spawn(async move {
                let mut raw = Raw::connect(address).await;
                for _ in 0..200 {
                    raw.send(forged("", "{}")).await;
                    assert_eq!(raw.answer().await.unwrap().status, 401);
                }
            })
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(ask(front.address, signed("", "{}")).await.status, 200);
    }
    for task in flood {
        task.await.unwrap();
    }
    let rejected = front.rejected();
    assert!(rejected.iter().any(|one| &*one.source == "token"));
    let series = "hookswitch_refused_requests_total{source=\"signed\",code=\"malformed\"}";
    assert_eq!(front.count(series), 1600);
    // Ten a second are kept, and the rest is counted.
    let of_flood = rejected
        .iter()
        .filter(|one| &*one.source == "signed")
        .count() as u64;
    let query = hookswitch::rejected::Query::default();
    assert_eq!(of_flood + front.rejected.list(&query).skipped, 1600);
    assert_eq!(front.journal.events().len(), 50);
}

/// A listener whose `/hooks/open` asks for `names` and whose other sources ask for none.
async fn front_for(files: &config::Tls, names: &[&str]) -> Front {
    let identity = Arc::new(Identity::load(files).unwrap());
    Front::with(|setup| {
        setup.tls = Some(identity);
        let names = names.iter().map(|name| name.parse().unwrap());
        setup.open.admission.client_names = names.collect();
    })
    .await
}

#[tokio::test]
async fn a_source_takes_the_client_certificates_that_it_names_and_other_sources_need_none() {
    let folder = tempfile::tempdir().unwrap();
    let (server, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let files = config::Tls {
        client_auth: ClientAuth::Optional,
        ..write(folder.path(), &server.leaf(), Some(&clients))
    };
    let front = front_for(&files, &["billing.example.com", "*.hooks.example.com"]).await;
    for (certificate, path, expected) in [
        (
            Some((&clients, "billing.example.com")),
            "/hooks/open",
            Some(200),
        ),
        (
            Some((&clients, "eu.hooks.example.com")),
            "/hooks/open",
            Some(200),
        ),
        (
            Some((&clients, "hooks.example.com")),
            "/hooks/open",
            Some(403),
        ),
        (
            Some((&clients, "billing.example.com.evil.test")),
            "/hooks/open",
            Some(403),
        ),
        (None, "/hooks/open", Some(403)),
        (None, &*format!("/hooks/token?token={SECRET}"), Some(200)),
        (
            Some((&clients, "anybody.test")),
            &format!("/hooks/token?token={SECRET}"),
            Some(200),
        ),
        // Another authority's word is none, whatever the source asks for.
        (
            Some((&strangers, "billing.example.com")),
            "/hooks/open",
            None,
        ),
    ] {
        let leaf = certificate.map(|(authority, name)| authority.leaf_of(name));
        let Ok(stream) = connect(&front, &server, leaf, b"http/1.1").await else {
            assert_eq!(expected, None);
            continue;
        };
        let mut raw = Raw::over(stream);
        let _ = raw.stream.write_all(post(path, "", "{}").as_bytes()).await;
        let answer = raw.answer().await;
        assert_eq!(answer.as_ref().map(|a| a.status), expected, "{path}");
        if expected == Some(403) {
            assert_eq!(answer.unwrap().code(), "client_not_allowed");
        }
    }
    let clients: Vec<_> = front
        .journal
        .events()
        .iter()
        .map(|event| {
            let mut all = event.attributes.iter();
            all.find(|(name, _)| name == "client")
                .map(|(_, v)| v.clone())
        })
        .collect();
    assert_eq!(
        clients,
        [
            Some("billing.example.com".to_owned()),
            Some("eu.hooks.example.com".to_owned()),
            None,
            Some("anybody.test".to_owned())
        ]
    );
}

#[tokio::test]
async fn a_client_is_known_on_http2_and_on_a_session_that_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (server, clients) = (Authority::new(), Authority::new());
    let files = write(folder.path(), &server.leaf(), Some(&clients));
    let front = front_for(&files, &["billing.example.com"]).await;
    let leaf = clients.leaf_of("billing.example.com");
    let stream = connect(&front, &server, Some(leaf), b"h2").await.unwrap();
    let mut http2 = crate::ingress::secure::client(stream).await;
    let body = Full::new(Bytes::from("{}"));
    let request = http::Request::post("http://hooks.example/hooks/open").body(body);
    let answer = http2.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);

    let connector = crate::ingress::secure::connector(
        &server,
        Some(clients.leaf_of("billing.example.com")),
        b"http/1.1",
    );
    let mut resumed = Vec::new();
    for _ in 0..2 {
        let stream = crate::ingress::secure::connect_by(&front, &connector)
            .await
            .unwrap();
        let mut raw = Raw::over(stream);
        raw.send(post("/hooks/open", "", "{}")).await;
        assert_eq!(raw.answer().await.unwrap().status, 200);
        let kind = raw.stream.get_ref().1.handshake_kind();
        resumed.push(kind == Some(rustls::HandshakeKind::Resumed));
    }
    assert_eq!(resumed, [false, true]);
    let mut events = front.journal.events().into_iter();
    assert!(events.all(|event| {
        let wanted = ("client".to_owned(), "billing.example.com".to_owned());
        event.attributes.contains(&wanted)
    }));
}
