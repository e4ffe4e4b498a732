"""Standard stages for text files (`stdlib.md` §10.1); executed in a process of their own.

Relative paths are those of the working directory of the service or of `noether-run`.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, Place
from noether_runner.builtins.fields import record_of, text_or

_FOLDER_IS_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)
"""Why no file can be made beside another; the last one is what `/proc` says."""


def os_error_text(error: OSError) -> str:
    """The operating system's own words, as the reference prints them."""
    if error.errno is None:
        return str(error)
    return f"{os.strerror(error.errno)} (os error {error.errno})"


def read_file(value: JsonValue, _context: Context) -> JsonValue:
    """The whole file as text, unchanged, and its size in bytes."""
    path = _path(record_of(value))
    try:
        _try_as_folder(path, os.O_RDONLY)
        content = Path(path).read_bytes()
    except OSError as error:
        raise BuiltinError(os_error_text(error)) from None
    try:
        return {"content": content.decode("utf-8"), "size_bytes": len(content)}
    except UnicodeDecodeError:
        raise BuiltinError("stream did not contain valid UTF-8") from None


def write_file(value: JsonValue, _context: Context) -> JsonValue:
    """Replaces or creates the file in one step: a reader sees the old content or the new."""
    record = record_of(value)
    path = _path(record)
    content = text_or(record, "content", "missing field 'content'").encode("utf-8")
    try:
        _try_as_folder(path, os.O_WRONLY | os.O_CREAT)
        _write(Path(path), content)
    except OSError as error:
        raise BuiltinError(os_error_text(error)) from None
    return {"bytes_written": len(content), "path": path}


def _path(record: dict[str, JsonValue]) -> str:
    path = text_or(record, "path", "missing field 'path'")
    if "\0" in path:
        raise BuiltinError("file name contained an unexpected NUL byte")
    if not path:
        raise BuiltinError(os_error_text(FileNotFoundError(errno.ENOENT, "")))
    return path


def _try_as_folder(path: str, flags: int) -> None:
    """Lets the system refuse a file named as a folder, by an end that `Path` would take away."""
    if path.endswith(("/", "/.")):
        os.close(os.open(path, flags))


def _write(path: Path, content: bytes) -> None:
    """Through a temporary file beside the target; whatever is no plain file is written to."""
    try:
        found = path.stat()
    except FileNotFoundError:
        mode = None
    else:
        if not stat.S_ISREG(found.st_mode):
            path.write_bytes(content)
            return
        mode = stat.S_IMODE(found.st_mode)
    target = path.resolve() if path.is_symlink() else path
    temporary = target.with_name(f".noether-{os.urandom(8).hex()}.tmp")
    try:
        file = temporary.open("xb")
    except OSError as error:
        if mode is None or error.errno not in _FOLDER_IS_CLOSED:
            raise
        # the file itself may be open to us all the same
        target.write_bytes(content)
        return
    try:
        with file:
            file.write(content)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


STAGES: Final = (
    Builtin("read_file", read_file, Place.CHILD),
    Builtin("write_file", write_file, Place.CHILD),
)
