"""Memory of a service after it has read a configuration: what stays, and what can be given back.

Ten thousand jobs are half a million objects that live as long as their configuration does. To look
through them for garbage again and again would make fires late by some hundredths of a second; and
what was needed for reading only, and what went with an older configuration, is worth 40 MB.
"""

import contextlib
import ctypes
import gc

_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """Threads share the heap of the process; call it before there is a second one.

    A thread with a heap of its own, as glibc gives it, keeps what a reload took there (mallopt(3)).
    """
    _libc("mallopt", _M_ARENA_MAX, 1)


def hurry() -> None:
    """Nothing is garbage for a while, since everything is being made: until `settle`."""
    gc.disable()


def settle() -> None:
    """What is here now stays: it is never looked through again, and free memory goes back."""
    gc.freeze()
    gc.enable()
    _libc("malloc_trim", 0)


def _libc(function: str, *values: int) -> None:
    # glibc's; other C libraries have no such thing
    with contextlib.suppress(AttributeError, OSError):
        getattr(ctypes.CDLL(None), function)(*values)
