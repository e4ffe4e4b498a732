"""docs/webhooks.md is true: its receiver accepts what is sent, and its body is the body."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from history_samples import failed, fire, succeeded
from noether_supervisor.config import signing_key
from noether_supervisor.webhooks.payload import body_of, headers_of
from noether_supervisor.webhooks.signature import signature_headers

TEXT = (Path(__file__).parents[3] / "docs/webhooks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_receiver_of_the_docs_accepts_what_is_sent_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    secret = f"whsec_{base64.b64encode(b'a key of the receiver').decode()}"
    headers = headers_of(fire().run_id, datetime(2026, 4, 14, 8, 30, tzinfo=UTC))
    headers |= signature_headers(secret, headers, b"{}")
    key = signing_key(secret)
    assert names["is_genuine"](key, headers, b"{}")
    assert not names["is_genuine"](key, headers, b"{ }")
    assert not names["is_genuine"](b"another key", headers, b"{}")
    for name in ("webhook-id", "webhook-timestamp"):
        assert not names["is_genuine"](key, {**headers, name: "1"}, b"{}")


def test_the_members_are_those_of_the_table() -> None:
    section = TEXT.split("## The body\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    sent = [*orjson.loads(body_of(fire(), succeeded(1), with_trace=True))]
    assert documented == [*sent[:4], "error", *sent[4:]]
    assert "error" in orjson.loads(body_of(fire(), failed()))
    assert list(orjson.loads(block("json"))) == sent[:-1]
