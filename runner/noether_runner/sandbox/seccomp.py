"""A filter for the system calls of a stage: seccomp(2) in BPF, assembled here (`runtimes.md` §7.8).

`confining.py` installs it in the stage's own process. The filter is a list: what is not on it is
allowed. It takes away the kernel's surface that stages have no use for (mounts, name
spaces, tracing, keys, modules, clocks) and sockets that reach further than the stage may.

What a refused call sees: EPERM; ENOSYS for `clone3`, whose flags a filter cannot look at (the C
library then falls back to `clone`), and for x32 calls; EAFNOSUPPORT for families of sockets, and
ENETUNREACH for internet sockets without a network, the words a user understands. A process of
another architecture (32-bit programs) is killed: its numbers mean something else.
"""

import errno
import struct

from noether_runner.sandbox.system_calls import MACHINES, Machine

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF: load a word of `struct seccomp_data`, jumps that compare it, the end (`linux/filter.h`)."""

_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; arguments have 8 bytes, the low word first on our machines."""

_ALLOW, _KILL, _REFUSE = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_NEW_NAMESPACES = 0x7E02_0000
"""The flags of clone(2) that make a name space of any kind."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0

_Instruction = tuple[int, int, int, int]


def program_for(machine_name: str, *, internet: bool) -> bytes | None:
    """The filter for a machine (as uname(2) names it); None when its numbers are not known.

    `internet`: sockets of the families INET and INET6 may be made. Whoever has no network because
    of a name space of its own can be allowed them: they lead nowhere.
    """
    machine = MACHINES.get(machine_name)
    if machine is None:
        return None
    instructions = [
        *_other_architectures(machine),
        *_sockets(machine, internet=internet),
        *_namespaces(machine),
        *_terminals(machine),
        *_denied(machine),
        _end(_ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


def _other_architectures(machine: Machine) -> list[_Instruction]:
    """First of all: a number says nothing before its architecture is known."""
    checks = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.architecture),
        _end(_KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.foreign_from is not None:
        checks += [(_AT_LEAST, 0, 1, machine.foreign_from), _end(_REFUSE | errno.ENOSYS)]
    return checks


def _sockets(machine: Machine, *, internet: bool) -> list[_Instruction]:
    """UNIX; route questions; the internet where allowed; nothing else (packet, vsock, keys, …)."""
    inet = _ALLOW if internet else _REFUSE | errno.ENETUNREACH
    families = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        _end(_ALLOW),
        (_EQUAL, 1, 0, _AF_INET),
        (_EQUAL, 0, 1, _AF_INET6),
        _end(inet),
        (_EQUAL, 0, 3, _AF_NETLINK),
        (_LOAD, 0, 0, _FIRST_ARGUMENT + 2 * 8),
        (_EQUAL, 0, 1, _NETLINK_ROUTE),
        _end(_ALLOW if internet else _REFUSE | errno.EAFNOSUPPORT),
        _end(_REFUSE | errno.EAFNOSUPPORT),
    ]
    pair = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        _end(_ALLOW),
        _end(_REFUSE | errno.EAFNOSUPPORT),
    ]
    return [*_if(machine.socket, families), *_if(machine.socketpair, pair)]


def _namespaces(machine: Machine) -> list[_Instruction]:
    flags = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        _end(_REFUSE | errno.EPERM),
        _end(_ALLOW),
    ]
    return [*_if(machine.clone, flags), *_if(machine.clone3, [_end(_REFUSE | errno.ENOSYS)])]


def _terminals(machine: Machine) -> list[_Instruction]:
    """Typing into a terminal that somebody else reads."""
    requests = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT + 8),
        (_EQUAL, 1, 0, _TIOCSTI),
        (_EQUAL, 0, 1, _TIOCLINUX),
        _end(_REFUSE | errno.EPERM),
        _end(_ALLOW),
    ]
    return _if(machine.ioctl, requests)


def _denied(machine: Machine) -> list[_Instruction]:
    refusal = [_end(_REFUSE | errno.EPERM)]
    return [each for number in sorted(machine.denied.values()) for each in _if(number, refusal)]


def _if(number: int, then: list[_Instruction]) -> list[_Instruction]:
    """`then`, which must end in a return on every path, for one system call."""
    return [(_EQUAL, 0, len(then), number), *then]


def _end(action: int) -> _Instruction:
    return (_RETURN, 0, 0, action)
