"""What stands in the place of a file is read to an end, or refused; nobody waits for it."""

import os
import threading
from pathlib import Path

import pytest

from noether_supervisor.config import bounded, read_config, read_secret
from noether_supervisor.config.bounded import read_bounded
from noether_supervisor.config.secrets import FileSecret
from noether_supervisor.errors import ConfigError, SupervisorError
from noether_supervisor.schedule.expression import ZoneError, process_zone


def test_a_file_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_bounded(path, 4)


def test_a_pipe_with_a_writer_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text = b"x" * 200_000
    kept = os.open(path, os.O_RDWR)
    writer = threading.Thread(target=path.write_bytes, args=(text,))
    writer.start()

    def end() -> None:
        writer.join()
        os.close(kept)

    closer = threading.Thread(target=end)
    closer.start()
    assert read_bounded(path, 1_000_000) == text
    closer.join()


def test_a_pipe_that_nobody_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "PATIENCE_SECONDS", 0.01)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    kept = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(ConfigError, match=r"it did not end within 0\.01 s"):
            read_config(path)
    finally:
        os.close(kept)


def test_devices_that_give_for_ever() -> None:
    with pytest.raises(ConfigError, match=r"^Failed to read config from /dev/zero: it is longer"):
        read_config(Path("/dev/zero"))
    with pytest.raises(SupervisorError, match="secret file /dev/zero: it is longer"):
        read_secret(FileSecret(file="/dev/zero"), {})
    with pytest.raises(ZoneError, match="it is longer"):
        process_zone({"TZ": "/dev/zero"})
