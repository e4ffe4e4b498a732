"""What all parts of the configuration share: strictness, remarks, and the kinds of texts."""

import re
import unicodedata
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

REMARK_MARKS = ("_", "$")
"""A key that begins with one of these is a remark of the author and is ignored."""


class ConfigPart(BaseModel):
    """Base of all objects of the file: frozen, strict kinds, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"patternProperties": {"^[_$]": {}}},
    )

    @model_validator(mode="before")
    @classmethod
    def _without_remarks(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(str(key).startswith(REMARK_MARKS) for key in value):
            return {
                key: item for key, item in value.items() if not str(key).startswith(REMARK_MARKS)
            }
        return value


def _job_name(name: str) -> str:
    if not 1 <= len(name) <= 200:
        raise ValueError(f"a job name has 1 to 200 characters, this one has {len(name)}")
    if "@" in name:
        raise ValueError("a job name may not hold '@', which separates name and time in run ids")
    if not name.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in name):
        raise ValueError("a job name may not hold control characters")
    return name


def _path_text(path: str) -> str:
    if not path:
        raise ValueError("expected a path, got an empty string")
    if "\0" in path:
        raise ValueError("a path may not hold a NUL character")
    return path


def _variable_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise ValueError("expected the name of an environment variable, without '='")
    if any(mark in name for mark in "*?["):
        raise ValueError("patterns are not accepted here: name each environment variable")
    return name


def _variable_value(value: str) -> str:
    if "\0" in value:
        raise ValueError("the value of an environment variable may not hold a NUL character")
    return value


def _http_url(url: str) -> str:
    example = "an http or https URL such as https://example.org/path"
    if not url.isprintable() or " " in url:
        raise ValueError(f"expected {example}, got a text with blanks or control characters")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise ValueError(f"expected {example}, got one with a malformed host or port") from None
    if parts.scheme.lower() not in ("http", "https"):
        shown = f"the scheme '{parts.scheme}'" if parts.scheme else "a text without a scheme"
        raise ValueError(f"expected {example}, got {shown}")
    if not has_host:
        raise ValueError(f"expected {example}, got one without a host")
    return url


_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def _host_port(text: str) -> str:
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        raise ValueError("expected HOST:PORT such as 127.0.0.1:8080 or [::1]:8080")
    return text


def _hex_key(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError("expected an Ed25519 public key as 64 hexadecimal digits")
    return text


JobName: TypeAlias = Annotated[
    str,
    AfterValidator(_job_name),
    Field(
        json_schema_extra={"minLength": 1, "maxLength": 200, "pattern": "^[^@\\u0000-\\u001f]*$"}
    ),
]
PathText: TypeAlias = Annotated[
    str, AfterValidator(_path_text), Field(json_schema_extra={"minLength": 1})
]
VariableName: TypeAlias = Annotated[
    str, AfterValidator(_variable_name), Field(json_schema_extra={"pattern": "^[^=*?\\[]+$"})
]
VariableValue: TypeAlias = Annotated[str, AfterValidator(_variable_value)]
HttpUrl: TypeAlias = Annotated[
    str,
    AfterValidator(_http_url),
    Field(json_schema_extra={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}),
]
HostPort: TypeAlias = Annotated[str, AfterValidator(_host_port)]
HexKey: TypeAlias = Annotated[
    str, AfterValidator(_hex_key), Field(json_schema_extra={"pattern": "^[0-9a-fA-F]{64}$"})
]

DAY = 86_400
MONTH = 30 * DAY

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=MONTH)]
"""A limit: more than nothing, at most thirty days."""
Delay: TypeAlias = Annotated[float, Field(ge=0, le=DAY)]
"""A wait: at most a day."""
