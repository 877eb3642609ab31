#!/usr/bin/env python3
"""Signs requests with Python's hmac and `cryptography`, apart from the code under test, and writes them as cases.

Run it in this folder; the keys are fixed, ECDSA signatures differ in each run. What becomes of the requests
is written by `BLESS=1 cargo test -p http-signatures`, and read before it is committed.
"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = 1_767_225_600
BODY = '{"id":"evt_1","type":"invoice.paid","amount":18446744073709551616}'
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0x1234567890ABCDEF1234567890ABCDEF, ec.SECP256R1())
SHARED = b"a shared secret of 32 bytes, yes"


def b64(data):
    return base64.b64encode(data).decode()


def pem(key):
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode().strip()


def with_hmac(base):
    return hmac.new(SHARED, base, hashlib.sha256).digest()


def with_p256(base):
    r, s = decode_dss_signature(P256.sign(base, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def base_of(components, params):
    """The signature base of RFC 9421 section 2.5."""
    lines = [f'"{name}": {value}' for name, value in components]
    names = " ".join(f'"{name}"' for name, _ in components)
    lines.append(f'"@signature-params": ({names}){params}')
    return "\n".join(lines).encode(), f"({names}){params}"


def case(name, why, sign, secrets, config, **change):
    """One signed request; `change` replaces what is signed or sent."""
    digest = "sha-256=:" + b64(hashlib.sha256(change.get("signed_body", BODY).encode()).digest()) + ":"
    digest = change.get("digest", digest)
    created = change.get("created", NOW - 10)
    components = change.get(
        "components", [("@method", "POST"), ("@path", "/hooks/partner"), ("content-digest", digest)]
    )
    params = change.get("params", f';created={created};keyid="k1"')
    base, signature_input = base_of(components, params)
    label = change.get("label", "sig1")
    headers = [
        ["host", "hooks.example.com"],
        ["content-type", "application/json"],
        ["content-digest", digest],
        ["signature-input", f"{label}={change.get('sent_input', signature_input)}"],
        ["signature", f"{label}=:{b64(sign(base))}:"],
    ]
    headers += change.get("headers", [])
    request = {
        "why": why,
        "target": change.get("target", "/hooks/partner"),
        "headers": [pair for pair in headers if pair[0] not in change.get("without", [])],
        "body_text": change.get("sent_body", BODY),
        "secrets": secrets,
        "now_ms": NOW * 1000,
        "config": config,
    }
    request.update(change.get("setting", {}))
    with open(f"{name}.request.json", "w", encoding="utf-8") as file:
        json.dump(request, file, indent=2)
        file.write("\n")


TEXT = [SHARED.decode()]
HMAC = {"algorithm": "hmac-sha256", "event_id": "json:/id", "event_type": "json:/type"}
ED = {"algorithm": "ed25519"}
EC = {"algorithm": "ecdsa-p256-sha256"}

case("hmac", "covers the body; id and type are the body's", with_hmac, TEXT, HMAC)
case("hmac-base64", "the secret is Base64", with_hmac, [b64(SHARED)], {**HMAC, "secret": "base64"})
case("ed25519-pem", "the public key as PEM", ED25519.sign, [pem(ED25519)], ED)
raw = ED25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
case("ed25519-base64", "the public key as 32 bytes", ED25519.sign, [b64(raw)], ED)
case("ecdsa", "the public key as PEM", with_p256, [pem(P256)], EC)
case("rotation", "the second secret has signed", with_hmac, ["the old secret of the partner!!!", *TEXT], HMAC)
case("wrong-key", "none of the secrets has signed", with_hmac, ["another secret altogether, yes!!"], HMAC)
case("wrong-key-ed25519", "another key", ED25519.sign, [pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))], ED)
case("changed-body", "the digest is signed and not the body's", with_hmac, TEXT, HMAC, sent_body=BODY.replace("18", "19"))
case("changed-path", "sent to another path than signed", with_hmac, TEXT, HMAC, target="/hooks/other")
case("stale", "older than the source's tolerance", with_hmac, TEXT, HMAC, created=NOW - 61, setting={"tolerance_s": 60})
case("usual-age", "five minutes where the source says nothing", with_hmac, TEXT, HMAC, created=NOW - 301)
case("future", "signed ahead of our clock", with_hmac, TEXT, HMAC, created=NOW + 301)
case("expired", "`expires` has passed", with_hmac, TEXT, HMAC, params=f";created={NOW - 10};expires={NOW - 1}")
case("not-created", "without `created` a signature would be good for ever", with_hmac, TEXT, HMAC, params=';keyid="k1"')
case("body-not-covered", "`covered` asks for more than was signed", with_hmac, TEXT, HMAC, components=[("@method", "POST"), ("@path", "/hooks/partner")])
case("nothing-covered", "the operator asks for nothing, so nothing is proven", with_hmac, TEXT, {"algorithm": "hmac-sha256", "covered": []}, components=[("@method", "POST")])
case("other-algorithm", "the sender may not choose", with_hmac, TEXT, HMAC, params=f';created={NOW};alg="ed25519"')
case("same-algorithm", "the sender may repeat", with_hmac, TEXT, HMAC, params=f';created={NOW};alg="hmac-sha256"')
case("tag", "the tag that the operator wants", with_hmac, TEXT, {**HMAC, "tag": "partner"}, params=f';created={NOW};tag="partner"')
case("wrong-tag", "another tag", with_hmac, TEXT, {**HMAC, "tag": "partner"}, params=f';created={NOW};tag="other"')
case("label", "the one label that counts is not there", with_hmac, TEXT, {**HMAC, "label": "partner"})
case("no-signature", "no header", with_hmac, TEXT, HMAC, without=["signature"])
case("no-input", "no header", with_hmac, TEXT, HMAC, without=["signature-input"])
case("no-digest", "a covered header is not there", with_hmac, TEXT, HMAC, without=["content-digest"])
case("weak-digest", "MD5 proves nothing", with_hmac, TEXT, HMAC, digest="md5=:" + b64(hashlib.md5(BODY.encode()).digest()) + ":")
case("malformed-input", "no dictionary", with_hmac, TEXT, HMAC, sent_input="(((")
case("input-no-list", "a number", with_hmac, TEXT, HMAC, sent_input="1")
case("twice", "a component twice", with_hmac, TEXT, HMAC, components=[("@method", "POST"), ("@method", "POST"), ("@path", "/hooks/partner"), ("content-digest", "x")])
case("parameter", "component parameters are not supported", with_hmac, TEXT, HMAC, sent_input=f'("@method";req "@path" "content-digest");created={NOW}')
case(
    "public-url",
    "the URL as the sender sees it, behind a proxy that changes it",
    with_hmac,
    TEXT,
    {"algorithm": "hmac-sha256", "covered": ["@target-uri", "@authority", "@scheme", "@query", "@request-target"]},
    components=[
        ("@target-uri", "https://api.example.com/in?a=%20b"),
        ("@authority", "api.example.com"),
        ("@scheme", "https"),
        ("@query", "?a=%20b"),
        ("@request-target", "/in?a=%20b"),
    ],
    target="/internal/in?a=%20b",
    setting={"public_url": "https://API.example.com:443/in"},
)
case(
    "several-values",
    "values of one header are joined, white space around them goes",
    with_hmac,
    TEXT,
    {"algorithm": "hmac-sha256", "covered": ["x-part"]},
    components=[("x-part", "one, two")],
    headers=[["x-part", " one "], ["x-part", "two\t"]],
)
case("header-id", "id and type are headers", with_hmac, TEXT, {"algorithm": "hmac-sha256", "covered": ["x-id", "x-type"], "event_id": "header:X-Id", "event_type": "header:X-Type"}, components=[("x-id", "i-1"), ("x-type", "paid")], headers=[["x-id", "i-1"], ["x-type", "paid"]])
case("bad-secret", "no key: refused when it is loaded", with_hmac, ["not base64!", b64(raw)[:20]], ED)
case("no-secret", "refused when it is loaded", with_hmac, [], HMAC)
case("bad-config", "all that is wrong, at once", with_hmac, TEXT, {"algorithm": "ed25519", "secret": "base64", "covered": ["@method", "@nonsense", "X-Upper"], "event_id": "json:/id", "event_type": "header:x-type"})
