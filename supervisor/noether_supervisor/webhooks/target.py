"""What a webhook's URL says about its receiver, and how much of it may be shown."""

from urllib.parse import SplitResult, urlsplit

_UNREADABLE = "(unreadable URL)"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def redacted(url: str) -> str:
    """`https://hooks.example.com/…`: scheme and host, all that logs and errors may show.

    User, password, path and query are left out: for many receivers the path is the credential.
    """
    parts = _split(url)
    if parts is None or not parts.hostname:
        return _UNREADABLE
    rest = "/…" if parts.path not in ("", "/") or parts.query else ""
    return f"{parts.scheme}://{_host(parts)}{rest}"


def receiver_of(url: str) -> str:
    """The receiver that a URL belongs to: `https://hooks.example.com:443`; may be shown, too."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return _UNREADABLE
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is not a number up to 65535
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str:
    name = _bracketed(parts.hostname or "")
    return name if parts.port is None else f"{name}:{parts.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
