"""The moment in which a stage's own process is shut in: Landlock, then a filter for system calls.

Standard library only, and little of it: it is loaded in a process that has just been forked, where
every module costs. What it is given was made before (`landlock.py`, `seccomp.py`). Sources:
`linux/landlock.h`, `linux/seccomp.h`.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls: the same numbers on every machine."""

_ONLY_VERSION = 1
_PATH_BENEATH = 1
_OF_A_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""What can be granted of something that is no directory: execute, write, read, truncate, ioctl."""

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def landlock_version() -> int:
    """The ABI that the kernel offers; 0 when there is none, or when it is switched off."""
    return max(0, _system_call(_CREATE_RULESET, None, 0, _ONLY_VERSION))


def restrict(files: int, network: int, scopes: int, rules: Iterable[tuple[str, int]]) -> None:
    """Hold the calling process, and all that it starts, to a `landlock.Ruleset`. Raises OSError.

    Needs `no_new_privs`, except for root. The calling process must have one thread.
    """
    attributes = struct.pack("=QQQ", files, network, scopes)
    ruleset = _checked(_CREATE_RULESET, attributes, len(attributes), 0)
    for path, rights in rules:
        _grant(ruleset, path, rights & files)
    _checked(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def install(program: bytes) -> None:
    """Filter the calling process and all that it starts, for good. Raises OSError.

    Needs `no_new_privs`, except for root.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and where they are
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    where = ctypes.create_string_buffer(header, len(header))
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(where), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter for system calls (seccomp)")


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _OF_A_FILE
        if rights:
            _checked(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, target), 0)
    finally:
        os.close(target)


def _checked(number: int, *arguments: int | bytes) -> int:
    result = _system_call(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock (system call {number}): {os.strerror(code)}")
    return result


def _system_call(number: int, *arguments: int | bytes | None) -> int:
    """With numbers and buffers; -1 and the error number of ctypes when it fails."""
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *given))
