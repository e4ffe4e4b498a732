"""Whether runs without isolation are refused: one variable, read alike by service and runner.

The source of the rule is `runtimes.md` §3.1.
"""

REQUIRE_ISOLATION = "NOETHER_REQUIRE_ISOLATION"
"""The variable of the service, or of `noether-run`."""

_YES = ("1", "true", "yes", "on")
_NO = ("", "0", "false", "no", "off")


def read_required(text: str | None) -> bool:
    """Its value as yes or no, no when it is not set; raises ValueError for anything else."""
    value = (text or "").strip().lower()
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise ValueError(
        f"{REQUIRE_ISOLATION} is {text!r}; expected 1, true, yes or on, or else 0, false, no, off "
        "or nothing"
    )
