"""What stages see of the environment: a small fixed list, and what was granted by name.

The source of the rule is `runtimes.md` §7.7; the supervisor applies it for jobs, `noether-run` for
itself. Nothing else of an environment reaches a stage.
"""

from collections.abc import Iterable, Mapping

from noether_contract.messages import Grants

ALWAYS = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "USER",
    "LOGNAME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "NIX_PATH",
    "HOME",
)
"""Variables that every stage sees when they are set; `TMPDIR` is added by the runner."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where interpreters are looked for when no PATH is set at all."""


def stage_grants(
    environ: Mapping[str, str], values: Mapping[str, str], passed: Iterable[str]
) -> Grants:
    """The environment of stages: the fixed list, then `passed` names of `environ`, then `values`.

    A passed name that is not set is left out. Values passed by name count as secrets and are
    masked in texts; `withheld_names` are the names that are set but reach no stage.
    """
    names = tuple(dict.fromkeys(passed))
    environment = {name: environ[name] for name in (*ALWAYS, *names) if name in environ}
    environment.setdefault("PATH", DEFAULT_PATH)
    environment.update(values)
    return Grants(
        environment=environment,
        secret_names=tuple(name for name in names if name in environ and name not in ALWAYS),
        withheld_names=tuple(sorted(name for name in environ if name not in environment)),
    )


def is_text(value: str) -> bool:
    """Whether JSON can carry it: Python holds bytes that are no UTF-8 as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
