"""What runner, zygote and stage-init say to each other; standard library only.

Runner to zygote (SOCK_SEQPACKET, one way), one packet a request, descriptors beside it:

    S                  start a stage: order, payload, control, stdout, stderr, result and, when
                       it goes into a sandbox with a stage-init of its own, status
    N <count>          so many calls are likely: have stage-inits wait for them
    L                  load what stages commonly import, before the next one is started
    E <pid>            end whatever stage-init <pid> left behind, then close: acknowledgement

Runner to stage-init, on the call's own control socket (SOCK_SEQPACKET):

    T <milliseconds>   ask the stage to end, kill it after that time
    K                  kill it now
    (end of file)      the runner is gone: kill it now

Zygote to stage-init: the `S` packet, handed on. Stage-init to stage: one byte, and the
descriptors without the control socket.

Stage-init to runner, on the same socket; plain words, since this is written between two forks:

    started <pid>      strictly before any user code
    ended <wait status or -1> <killed> <CPU microseconds> <peak KiB>
                       nothing of the stage is left
    failed <why>       nothing could be started

An end of file without one of the last two means that stage-init itself was killed.

Stage-init inside a sandbox to runner, on the status pipe (`inside.py`), one line each:

    inside             the sandbox is up; strictly before any user code
    ended <wait status> <killed> <CPU microseconds> <peak KiB> <files>
                       nothing of the stage is left; files are what it wrote and loses

The *order* (a memory file, JSON) says how to start the process. The *payload* (another one) is
for the language's own bootstrap; nothing here looks into it.

The stage's own private channel is a pipe of frames: line feed, token (16 hex digits, per call),
space, tag, space, length in bytes, line feed, payload. Tags: `R` the result, `E` an error, `S`
(length 0) "everything that follows is the result".
"""

import json
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    # not at run time: an interpreter that is executed for one stage starts faster without
    from noether_runner.sandbox.rlimits import ProcessLimit

START = b"S"
EXPECT = b"N"
LOAD = b"L"
END_REMAINS = b"E"
TERMINATE = b"T"
KILL = b"K"

STARTED = b"started"
ENDED = b"ended"
FAILED = b"failed"

MAX_PACKET = 4096
START_DESCRIPTORS = 6
START_CONTROL = 2
MOST_START_DESCRIPTORS = 7
"""With the status pipe of a sandbox."""
STAGE_DESCRIPTORS = 5
"""All of them but the control socket, handed on by stage-init to the stage."""
MOST_STAGE_DESCRIPTORS = 6

CONTROL = 3
"""The number of the one socket that a zygote, and that a stage-init, listens on."""

RESULT = 1000
"""Number of the result pipe in a forked stage: out of the way of code that closes everything."""
PAYLOAD = 1001
STATUS = 1002
EXEC_RESULT = 3
EXEC_PAYLOAD = 4
EXEC_ORDER = 5
"""Number of the inner order for a sandbox that is executed; its status pipe is the next."""
EXEC_STATUS = 6

START_FAILED = "start_failed"
"""Member `class` of the error frame of a stage that failed before its language took over."""
SANDBOX_FAILED = "sandbox_failed"
"""The same for one that could not be shut in as its order says."""

INSIDE = b"inside\n"
"""First word of the status pipe of a sandbox."""


class Confinement(NamedTuple):
    """What a stage's process takes upon itself before user code; all of it optional.

    `user`: user id, group id and groups to become. `landlock`: a `landlock.Ruleset`. `filter`: a
    program of `seccomp.py`, hexadecimal. `inside`: the order, packed, of the stage-init inside the
    sandbox that `argv` starts. `files`: name and text of files that this stage-init writes into
    the private directory first.
    """

    user: tuple[int, int, tuple[int, ...]] | None = None
    landlock: tuple[int, int, int, tuple[tuple[str, int], ...]] | None = None
    filter: str = ""
    inside: str = ""
    files: tuple[tuple[str, str], ...] = ()


class Order(NamedTuple):
    """How to start one stage process.

    Exactly one of `entry` and `argv` is given. `entry` is `module:function`, called in the forked
    interpreter with (result descriptor, payload descriptor, token); it must end the process.
    `argv` is executed, the result pipe at descriptor 3 and the payload at 4. A plain tuple, read
    by the stage's process on its way: the less code that takes, the fewer pages are copied.
    """

    token: str
    directory: str
    environment: dict[str, str]
    limits: "tuple[ProcessLimit, ...]"
    entry: str | None = None
    argv: tuple[str, ...] = ()
    confinement: Confinement | None = None

    def pack(self) -> bytes:
        """The order as it travels."""
        return json.dumps(self).encode("ascii")

    @classmethod
    def unpack(cls, packed: bytes) -> "Order":
        """The order as it was packed (its inner tuples come back as lists)."""
        members = json.loads(packed)
        if members[-1] is not None:
            members[-1] = Confinement(*members[-1])
        return cls(*members)


def frame(token: str, tag: str, payload: bytes) -> bytes:
    """One frame of the private channel."""
    return b"\n%s %s %d\n%s" % (token.encode("ascii"), tag.encode("ascii"), len(payload), payload)


def read_whole(descriptor: int) -> bytes:
    """The whole content of a memory file, without touching its offset."""
    size = os.fstat(descriptor).st_size
    parts = []
    offset = 0
    while offset < size and (part := os.pread(descriptor, size - offset, offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def write_whole(descriptor: int, content: bytes) -> None:
    """Write all of `content`, however the kernel portions it."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
