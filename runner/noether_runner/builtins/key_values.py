"""Standard stages that remember values between runs (`stdlib.md` §10.3).

The database is a SQLite file shared with the reference, so its one table stays as it is. Each
stage is one short transaction in a process of its own; others may use the file at any time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, Place
from noether_runner.builtins.fields import (
    json_text,
    optional_text,
    present,
    record_of,
    text_or,
)

if TYPE_CHECKING:
    import sqlite3

_BUSY_SECONDS = 5.0
_TABLE = """CREATE TABLE IF NOT EXISTS kv (
    namespace TEXT NOT NULL DEFAULT '',
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (namespace, key)
)"""
_WRITE = "INSERT OR REPLACE INTO kv (namespace, key, value) VALUES (?, ?, ?)"
_READ = "SELECT value FROM kv WHERE namespace = ? AND key = ?"
_DELETE = "DELETE FROM kv WHERE namespace = ? AND key = ?"
_LIST = "SELECT key FROM kv WHERE namespace = ? ORDER BY key COLLATE BINARY"


def kv_set(value: JsonValue, context: Context) -> JsonValue:
    """Stores a value under a key; the last writer wins."""
    namespace, key = _place(value)
    text = json_text(present(record_of(value), "value"))
    with _database(context.environment) as database:
        database.execute(_WRITE, (namespace, key, text))
    return "ok"


def kv_get(value: JsonValue, context: Context) -> JsonValue:
    """The stored value; null when there is none, or none that can be read."""
    place = _place(value)
    with _database(context.environment) as database:
        row = database.execute(_READ, place).fetchone()
    if row is None:
        return None
    try:
        return parse_json(row[0])
    except (JsonTextError, TypeError) as error:
        context.warn(f"kv_get: what is stored under '{place[1]}' is not JSON ({error}); gave null")
        return None


def kv_delete(value: JsonValue, context: Context) -> JsonValue:
    """Whether there was something to remove."""
    place = _place(value)
    with _database(context.environment) as database:
        return database.execute(_DELETE, place).rowcount > 0


def kv_exists(value: JsonValue, context: Context) -> JsonValue:
    """Whether something is stored under the key, even null."""
    place = _place(value)
    with _database(context.environment) as database:
        return database.execute(_READ, place).fetchone() is not None


def kv_list(value: JsonValue, context: Context) -> JsonValue:
    """The keys that begin with exactly the prefix, in the order of their bytes."""
    record = record_of(value)
    prefix = optional_text(record, "prefix", "")
    with _database(context.environment) as database:
        rows = database.execute(_LIST, (optional_text(record, "namespace", ""),)).fetchall()
    return [key for (key,) in rows if isinstance(key, str) and key.startswith(prefix)]


def _place(value: JsonValue) -> tuple[str, str]:
    record = record_of(value)
    key = text_or(record, "key", "missing field 'key'")
    return optional_text(record, "namespace", ""), key


def database_path(environment: Mapping[str, str]) -> Path:
    """Where the values are kept."""
    if named := environment.get("NOETHER_KV_PATH"):
        return Path(named)
    return Path(environment.get("HOME") or "/tmp", ".noether", "kv.db")  # noqa: S108 - as specified


@contextmanager
def _database(environment: Mapping[str, str]) -> "Iterator[sqlite3.Connection]":
    """The open database within one transaction."""
    import sqlite3

    path = database_path(environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    except OSError as error:
        raise BuiltinError(f"kv: cannot open {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise BuiltinError(f"kv: cannot open {path}: {error}") from None
    try:
        with connection:
            connection.execute(_TABLE)
            yield connection
    except sqlite3.Error as error:
        raise BuiltinError(f"{error} (key-value database {path})") from None
    finally:
        connection.close()


_RUNS: Final[Mapping[str, Callable[[JsonValue, Context], JsonValue]]] = {
    "kv_set": kv_set,
    "kv_get": kv_get,
    "kv_delete": kv_delete,
    "kv_exists": kv_exists,
    "kv_list": kv_list,
}
STAGES: Final = tuple(Builtin(name, run, Place.CHILD) for name, run in _RUNS.items())
