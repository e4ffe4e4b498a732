"""Messages with descriptors (SCM_RIGHTS, unix(7)), as the nursery and its spares take them."""

import array
import os
import socket

_MAX_MESSAGE_BYTES = 4096


def receive(line: socket.socket) -> tuple[bytes, list[int]]:
    """One message and the descriptors that came with it, close-on-exec; empty at the end."""
    room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
    try:
        message, ancillary, _, _ = line.recvmsg(_MAX_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return b"", []
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(content) - len(content) % descriptors.itemsize
            descriptors.frombytes(content[:whole])
    return message, list(descriptors)


def take_descriptors(line: socket.socket) -> bool:
    """Waits as a spare; False when the nursery is gone instead."""
    with line:
        _, descriptors = receive(line)
    if len(descriptors) != 3:
        return False
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    return True
