#!/usr/bin/env python3
"""Makes the first inputs out of the test vectors, so that fuzzing begins behind the front door."""

import base64
import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "tests" / "fixtures" / "verify"


def save(target, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


for file in ("published.json", "own.json"):
    for vector in json.loads((FIXTURES / file).read_text()):
        body = base64.b64decode(vector["body_base64"]) if vector.get("body_base64") else vector["body"].encode()
        lines = ["/" + vector["url"].split("/", 3)[-1]]
        lines += [f"{name}: {value}" for name, value in vector["headers"].items()]
        save("headers", "\n".join(lines).encode() + b"\n\n" + body)
        if body[:1] in (b"{", b"["):
            save("canonical_json", body)
        for secret in vector["secrets"]:
            if secret.startswith(("{", "-----")):
                save("certificates", secret.encode())
for path in (FIXTURES / "keys").iterdir():
    text = path.read_text()
    save("certificates", text.encode())
    der = "".join(line for line in text.split("-----END")[0].splitlines() if not line.startswith("-"))
    save("certificates", base64.b64decode(der))
