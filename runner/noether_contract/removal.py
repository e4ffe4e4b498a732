"""Removing what a stage has left in its directories, however it left it.

A stage may nest folders deeper than any recursion or path name goes, take all permissions away
from them, and choose names that are no text. So nothing here names a path of more than one part,
and what lies too deep is first moved up beside the top. Links are removed, never followed.
Standard library only, and little of it.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_OPEN = 32
"""How many folders are open at the same time, one in the other."""

_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> bool:
    """Removes a folder with everything in it; False when something of it cannot be removed.

    Blocks for as long as that takes, and raises nothing. Nobody may be writing there any more.
    """
    with contextlib.suppress(OSError), _opened(str(path), None) as top:
        removal = _Removal(top)
        while removal.goes_through(top, 0):
            pass
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class _Removal:
    """The emptying of one folder, the descriptor `top`."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._fresh = (f"{os.urandom(8).hex()}-{number}" for number in itertools.count())

    def goes_through(self, folder: int, depth: int) -> bool:
        """One pass over a folder and those in it; whether anything went, or was moved up."""
        is_some_gone = False
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=folder)
                    elif depth < MOST_OPEN:
                        with _opened(entry.name, folder) as inner:
                            is_some_gone |= self.goes_through(inner, depth + 1)
                        os.rmdir(entry.name, dir_fd=folder)
                    else:
                        _make_ours(entry.name, folder)
                        name = next(self._fresh)
                        os.rename(entry.name, name, src_dir_fd=folder, dst_dir_fd=self._top)
                    is_some_gone = True
        return is_some_gone


@contextlib.contextmanager
def _opened(name: str, parent: int | None) -> Iterator[int]:
    _make_ours(name, parent)
    folder = os.open(name, _AS_FOLDER, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


def _make_ours(name: str, parent: int | None) -> None:
    """Takes the permissions back that a stage took away; root needs none and changes none."""
    if os.geteuid() != 0:
        with contextlib.suppress(OSError):
            # changing a link's mode would change that of whatever it leads to
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                os.chmod(name, 0o700, dir_fd=parent)
