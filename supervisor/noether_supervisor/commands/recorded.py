"""The run history as the commands read it: none yet is no error."""

import contextlib
import sqlite3
from collections.abc import Iterator

from noether_supervisor.config import SchedulerConfig
from noether_supervisor.storage.connection import DATABASE_NAME, open_readonly
from noether_supervisor.storage.trouble import file_trouble


@contextlib.contextmanager
def history_of(config: SchedulerConfig) -> Iterator[sqlite3.Connection | None]:
    """The history for reading, None when there is none yet; raises `HistoryError`."""
    path = config.state_path / DATABASE_NAME
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        # such as the state directory of a service that another user runs
        raise file_trouble(error, path) from error
    with contextlib.closing(open_readonly(path)) as connection:
        yield connection
