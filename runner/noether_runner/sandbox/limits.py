"""The limits of one stage call, and those of its single processes (`runtimes.md` §7.6).

Standard library only. `rlimits.py` applies them in the stage's own process.
"""

import functools
import math
import os
import resource

from noether_contract.lean_dataclass import dataclass
from noether_runner.sandbox.rlimits import ProcessLimit

_MEBIBYTE = 1024 * 1024
MEMORY_TO_REPORT = 32 * _MEBIBYTE
"""Room between the soft and the hard memory limit: lets a MemoryError still be told."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Bounds of one stage call; the defaults are those of `runtimes.md` §7.10.

    Memory, CPU and file size hold for each process of the stage, log size for each stream.
    """

    wall_seconds: float = 30.0
    memory_bytes: int = 1024 * _MEBIBYTE
    cpu_seconds: float | None = None
    output_bytes: int = 10 * _MEBIBYTE
    log_bytes: int = 64 * 1024
    file_bytes: int = 1024 * _MEBIBYTE
    max_processes: int = 256
    linger_ms: int = 1000
    term_grace_ms: int = 500
    open_files: int = 1024


def process_limits(
    limits: StageLimits, other_processes: int, user: int | None = None
) -> tuple[ProcessLimit, ...]:
    """What a stage's process has to set for itself and for what it will start.

    `user` is whose it will be, by default the calling one's. `other_processes` are those of that
    user that exist anyway: RLIMIT_NPROC counts them too. Root is not bound by that limit, so it is
    left alone there.
    """
    memory = limits.memory_bytes
    found = [
        (resource.RLIMIT_DATA, memory, memory + MEMORY_TO_REPORT),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    if limits.cpu_seconds is not None:
        whole = max(1, math.ceil(limits.cpu_seconds))
        found.append((resource.RLIMIT_CPU, whole, whole + 1))
    if (os.getuid() if user is None else user) != 0:
        most = other_processes + limits.max_processes
        found.append((resource.RLIMIT_NPROC, most, most))
    return tuple(found)


@functools.cache
def processes_of(user: int) -> int:
    """Processes and threads of a user, as RLIMIT_NPROC counts them; 0 for root.

    Counted once: looking at every process of the machine costs more than a fork.
    """
    if user == 0:
        return 0
    count = 0
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    if entry.stat().st_uid == user:
                        with os.scandir(f"/proc/{entry.name}/task") as threads:
                            count += sum(1 for _ in threads)
                except OSError:
                    continue
    return count
