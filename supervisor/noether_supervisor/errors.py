"""The one base of the supervisor's own errors: "I cannot do my job"."""

from dataclasses import dataclass


class SupervisorError(Exception):
    """Something the supervisor cannot do.

    The message says what was expected, what was met, where, and what to do; commands print it
    as it is and exit with `exit_code`.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a configuration: its place as `jobs[2].cron`, and what to do."""

    path: str
    message: str
    line: int = 0
    column: int = 0
    excerpt: str = ""


class ConfigError(SupervisorError):
    """The configuration cannot be used; carries every finding (exit code 2)."""

    exit_code = 2

    def __init__(self, message: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class HistoryError(SupervisorError):
    """The history database cannot be opened, read or written.

    `may_pass` tells trouble of the moment (no space, a lock), after which the same write may
    succeed, from what lasts until somebody mends it (damage, a missing table).
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class UsageError(SupervisorError):
    """A command was given something it cannot act on: an unknown job or run (exit code 2)."""

    exit_code = 2
