"""Landlock: files by path, TCP ports and signals for the calling process (`runtimes.md` §7.8).

`confining.py` applies the rules in the stage's own process, which may be root's. What cannot be
opened by path any more can still be looked at (`stat`), and its mode, owner and times changed,
by whoever might do so without; descriptors that are open stay open. Source: `linux/landlock.h` and
the kernel's `Documentation/userspace-api/landlock.rst`.
"""

from collections.abc import Iterable
from typing import NamedTuple

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE = 3 << 4
_MAKE_DIR_FILE_SOCKET_FIFO, _MAKE_LINK = 15 << 7, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
LIST = _READ_DIR
"""Seeing which names a directory and those below it hold."""

READ = _EXECUTE | _READ_FILE | _READ_DIR
"""Reading, and executing, what is below a path."""

WRITE = READ | _WRITE_FILE | _REMOVE | _MAKE_DIR_FILE_SOCKET_FIFO | _MAKE_LINK | _REFER | _TRUNCATE
"""Everything below a path but device files."""

DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEVICE
"""Using a device file that is there."""

_BIND_AND_CONNECT_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3

Rule = tuple[str, int]
"""A path, and what may be done there and below (`READ`, `WRITE`, `LIST`, `DEVICE`)."""


class Ruleset(NamedTuple):
    """What one process may still do; a plain tuple, since it travels in an order.

    `files`, `network` and `scopes` are what the kernel is asked to watch over, as bits of an ABI
    (`ruleset_for`); what they name and no rule grants is refused. A path that does not exist
    grants nothing.
    """

    files: int
    network: int
    scopes: int
    rules: tuple[Rule, ...]


def ruleset_for(version: int, rules: Iterable[Rule], *, network: bool) -> Ruleset:
    """Everything that an ABI can watch over; with `network`, all but TCP."""
    watched = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE)):
        if version >= since:
            watched |= right
    return Ruleset(
        files=watched,
        network=_BIND_AND_CONNECT_TCP if version >= 4 and not network else 0,
        scopes=_ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
        rules=tuple(rules),
    )


def gaps(version: int) -> tuple[str, ...]:
    """What an ABI cannot hold a stage from, of what later ones can."""
    missing = (
        (2, "moving files between folders is refused everywhere"),
        (3, "files that may only be read can be cut short"),
        (4, "TCP is left to the filter for system calls"),
        (5, "devices that may be opened take any request"),
        (6, "signals and abstract sockets reach other processes of the user"),
    )
    return tuple(text for since, text in missing if version < since)
