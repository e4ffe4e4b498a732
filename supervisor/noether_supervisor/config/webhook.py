"""The key `webhook` (`scheduler.md` §5.2): a URL, or an object around it.

A header that would change what every receiver relies on is an error of the configuration, so that
none of ours is replaced in silence; no message of this module shows a value.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from noether_supervisor.config.part import ConfigPart, HttpUrl, Seconds
from noether_supervisor.config.secrets import Secret

CALL_SECONDS = 10.0
"""Limit of one call of a webhook without the object form (`scheduler.md` §5.1)."""

KEY_PREFIX = "whsec_"
"""What a signing secret in the form of Standard Webhooks begins with; base64 follows."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2
_OURS = frozenset(
    {
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def signing_key(secret: str) -> bytes:
    """The key that a secret stands for: what follows `whsec_` is base64, any other text is UTF-8.

    Raises `ValueError`, without the secret, when what follows `whsec_` is no base64 or nothing.
    """
    if not secret.startswith(KEY_PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(KEY_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError(f"expected base64 after '{KEY_PREFIX}' of a webhook's secret")
    return key


def _signing_secret(secret: Secret) -> Secret:
    if isinstance(secret, SecretStr):
        signing_key(secret.get_secret_value())
    return secret


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header: letters, digits and hyphens")
    if name.lower() in _OURS:
        raise ValueError(f"the header '{name}' is set by the scheduler; leave it out")
    if name.lower() in _OF_THE_CONNECTION:
        raise ValueError(f"the header '{name}' belongs to the connection; leave it out")
    return name


def _header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError("expected the value of a header: printable ASCII without blanks around it")
    return value


def _each_once(headers: Mapping[str, str]) -> Mapping[str, str]:
    names = [name.lower() for name in headers]
    for name in headers:
        if names.count(name.lower()) > 1:
            raise ValueError(f"the header '{name}' stands twice; case does not count in names")
    return headers


def _not_empty(outcomes: tuple[str, ...]) -> tuple[str, ...]:
    if not outcomes:
        raise ValueError("expected 'success', 'failure' or both; 'webhook': null tells nobody")
    return outcomes


Outcome: TypeAlias = Literal["success", "failure"]
HeaderName: TypeAlias = Annotated[
    str,
    AfterValidator(_header_name),
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"}),
]
HeaderValue: TypeAlias = Annotated[str, AfterValidator(_header_value)]


class WebhookSettings(ConfigPart):
    """The object form of a webhook (`scheduler.md` §5.2); a URL alone means all these defaults."""

    url: HttpUrl = Field(repr=False, description="Where the report of a run is posted.")
    secret: Annotated[Secret, AfterValidator(_signing_secret)] | None = Field(
        None, repr=False, description="Signs each delivery."
    )
    headers: Annotated[dict[HeaderName, HeaderValue], AfterValidator(_each_once)] = Field(
        {}, repr=False, description="Further request headers."
    )
    timeout: Seconds = Field(CALL_SECONDS, description="Seconds for one attempt.")
    attempts: int = Field(1, ge=1, le=100, description="Attempts before giving up.")
    on: Annotated[tuple[Outcome, ...], Field(strict=False), AfterValidator(_not_empty)] = Field(
        ("success", "failure"),
        description="Which runs are told.",
        json_schema_extra={"minItems": 1},
    )
    include_trace: bool = Field(False, description="Whether the trace goes along.")

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        names = {name.lower() for name in self.headers}
        if "authorization" in names and "@" in urlsplit(self.url).netloc:
            raise ValueError(
                "the URL holds a user, which becomes the header 'Authorization', and 'headers' "
                "has one too; keep one of them"
            )
        return self


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<url>"
    return "<object>" if isinstance(value, dict | WebhookSettings) else None


Webhook: TypeAlias = Annotated[
    Annotated[HttpUrl, Tag("<url>")] | Annotated[WebhookSettings, Tag("<object>")],
    Discriminator(
        _form,
        custom_error_type="webhook_form",
        custom_error_message="expected a URL, or an object with at least `url`",
    ),
]


def settings_of(webhook: str | WebhookSettings) -> WebhookSettings:
    """The object form of either form."""
    return webhook if isinstance(webhook, WebhookSettings) else WebhookSettings(url=webhook)
