"""prctl(2) through ctypes: the few process attributes that Python does not offer.

Standard library only. Every function acts on the calling process and returns at once; a kernel
that refuses is no reason to stop (each attribute is one line of defence of several), except
where noted.
"""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_prctl = ctypes.CDLL(None).prctl
_prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_prctl.restype = ctypes.c_int


def hide_from_peers() -> None:
    """Refuse other processes of the same user our memory and `/proc/PID/environ`."""
    _prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def show_to_self() -> None:
    """Undo `hide_from_peers`: a stage must be able to read its own `/proc/self`."""
    _prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def adopt_orphans(*, adopting: bool = True) -> bool:
    """Become (or stop being) the parent of descendants whose own parent ends; False if refused."""
    return bool(_prctl(_PR_SET_CHILD_SUBREAPER, int(adopting), 0, 0, 0) == 0)


def die_with_parent(expected_parent: int) -> bool:
    """Be killed when the parent's forking thread ends; False when the parent is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == expected_parent


def forbid_new_privileges() -> None:
    """No program that is executed from here on gains rights (set-uid bits, file capabilities)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
