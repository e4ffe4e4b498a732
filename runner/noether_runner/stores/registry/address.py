"""The base URL of a registry: what is asked, what may be shown, where its cache lies."""

import hashlib
from dataclasses import field
from typing import TypeAlias
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit, urlunsplit

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError

Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port: requests, and the key with them, stay within one."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A registry's base URL. `shown` is without user and password, `base` with them."""

    shown: str
    base: str = field(repr=False)
    origin: Origin

    @property
    def folder_name(self) -> str:
        """Under which name the cache of this registry lies: equal for equal registries."""
        return hashlib.sha256(self.shown.encode()).hexdigest()[:32]

    def url(self, path: str, **query: str | int) -> str:
        """The URL of a route, such as `/stages`."""
        return f"{self.base}{path}?{urlencode(query)}" if query else f"{self.base}{path}"

    def redirected(self, url: str, location: str) -> str | None:
        """Where a redirection leads; None when it leaves the registry's origin."""
        try:
            target = urljoin(url, location)
            return target if _origin(urlsplit(target)) == self.origin else None
        except ValueError:
            return None


def read_address(url: str) -> Address:
    """The address of a registry; raises `RunnerError` for what is no base URL."""
    try:
        parts = urlsplit(url)
        origin = _origin(parts)
        host = parts.hostname or ""
        host.encode("idna")
    except ValueError:
        raise _unusable() from None
    if origin is None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise _unusable()
    place = f"[{host}]" if ":" in host else host
    if origin[2] != _PORTS[origin[0]]:
        place += f":{origin[2]}"
    path = parts.path.rstrip("/")
    user, at, _ = parts.netloc.rpartition("@")
    return Address(
        shown=urlunsplit((origin[0], place, path, "", "")),
        base=urlunsplit((origin[0], f"{user}{at}{place}", path, "", "")),
        origin=origin,
    )


def _unusable() -> RunnerError:
    # The URL itself is not quoted: it may hold a password.
    message = (
        "the registry's URL cannot be used: expected an http or https base URL such as "
        "https://registry.example.org, without blanks, query or fragment"
    )
    return RunnerError(ErrorCode.BAD_REQUEST, message)


def _origin(parts: SplitResult) -> Origin | None:
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        return None
    return scheme, parts.hostname, _PORTS[scheme] if parts.port is None else parts.port
