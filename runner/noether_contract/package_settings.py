"""What pip is told of the operator's surroundings when an environment is built.

The supervisor applies the rule for jobs, `noether-run` for itself, so that both install from where
the operator's own pip would. Nothing of it is granted to stages: an index may carry a password.
"""

import re
from collections.abc import Iterator, Mapping

from noether_contract.messages import Packages
from noether_contract.stage_environment import is_text

PIP_VARIABLES = (
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_CONSTRAINT",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_KEYRING_PROVIDER",
    "PIP_TIMEOUT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "PIP_CACHE_DIR",
    "PIP_NO_CACHE_DIR",
)
"""Where packages come from and how they are reached. What changes how they are installed
(`PIP_TARGET`, `PIP_USER`, `PIP_NO_BINARY` and their like) is ours to say."""

OTHER_VARIABLES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
"""Where pip's own files lie, proxies, certificates."""

UNPINNED = "NOETHER_ALLOW_UNPINNED_PIP"
"""Takes entries without a version when it is one of `_YES`, exactly (`runtimes.md` §2.1)."""

_USER_PART = re.compile(r"://([^/@\s]+)@")
_YES = ("1", "true", "yes", "on")


def packages_from(environ: Mapping[str, str]) -> Packages:
    """The settings for builds, out of the environment of the service or of `noether-run`."""
    names = (*PIP_VARIABLES, *OTHER_VARIABLES)
    found = {name: environ[name] for name in names if name in environ}
    return Packages(
        allow_unpinned=environ.get(UNPINNED) in _YES,
        settings={name: value for name, value in found.items() if is_text(value)},
    )


def passwords_in(settings: Mapping[str, str]) -> Iterator[str]:
    """What stands between `://` and `@` in addresses, and the part of it behind a colon."""
    for value in settings.values():
        for user_part in _USER_PART.findall(value):
            yield user_part
            yield user_part.partition(":")[2]
