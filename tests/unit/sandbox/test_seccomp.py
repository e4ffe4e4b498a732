"""The filter for system calls: read as the kernel would, and installed in a process."""

import errno
import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.sandbox.seccomp import program_for
from noether_runner.sandbox.system_calls import MACHINES

ALLOW, KILL = "allow", "kill"
MOST_INSTRUCTIONS = 4096
NAMES = sorted(MACHINES)
NEW_USER, NEW_NET, VM, VFORK = 0x1000_0000, 0x4000_0000, 0x100, 0x4000
UNIX, INET, INET6, NETLINK, PACKET, VSOCK, KEY, ALG = 1, 2, 10, 16, 17, 40, 15, 38


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> str | int:
    """What a filter says of a call: `allow`, `kill`, or the error number that it is refused with.

    An interpreter for the part of BPF that is used; see `linux/filter.h`.
    """
    given = [*arguments, *[0] * (6 - len(arguments))]
    seen = struct.pack("<IIQ6Q", number, architecture, 0, *given)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, word = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[at]
        at += 1
        if code == 0x20:
            (word,) = struct.unpack_from("<I", seen, constant)
        elif code == 0x06:
            break
        else:
            holds = {
                0x15: word == constant,
                0x35: word >= constant,
                0x45: bool(word & constant),
            }[code]
            at += if_true if holds else if_false
    if constant == 0x7FFF_0000:
        return ALLOW
    if constant == 0x8000_0000:
        return KILL
    assert constant >> 16 == 5
    return int(constant & 0xFFFF)


def program(name: str, *, internet: bool = False) -> bytes:
    found = program_for(name, internet=internet)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_denied_whatever_its_arguments(name: str) -> None:
    machine = MACHINES[name]
    for internet in (False, True):
        whole = program(name, internet=internet)
        assert len(whole) // 8 <= MOST_INSTRUCTIONS
        for number in machine.denied.values():
            assert verdict(whole, machine.architecture, number) == errno.EPERM


@pytest.mark.parametrize("name", NAMES)
@given(number=st.integers(0, 600), argument=st.integers(0, 2**64 - 1))
def test_everything_else_is_allowed(name: str, number: int, argument: int) -> None:
    machine = MACHINES[name]
    looked_into = (machine.clone, machine.clone3, machine.ioctl, machine.socket, machine.socketpair)
    if number in looked_into or number in machine.denied.values():
        return
    assert verdict(program(name), machine.architecture, number, argument) == ALLOW


@pytest.mark.parametrize("name", NAMES)
def test_processes_but_no_name_spaces(name: str) -> None:
    machine = MACHINES[name]
    for flags, expected in (
        (17, ALLOW),
        (VM | VFORK | 17, ALLOW),
        (NEW_USER | 17, errno.EPERM),
        (NEW_NET, errno.EPERM),
    ):
        assert verdict(program(name), machine.architecture, machine.clone, flags) == expected
    assert verdict(program(name), machine.architecture, machine.clone3) == errno.ENOSYS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("family", "protocol", "without", "with_internet"),
    [
        (UNIX, 0, ALLOW, ALLOW),
        (INET, 0, errno.ENETUNREACH, ALLOW),
        (INET6, 6, errno.ENETUNREACH, ALLOW),
        (NETLINK, 0, errno.EAFNOSUPPORT, ALLOW),
        (NETLINK, 15, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
        (PACKET, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
        (VSOCK, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
        (KEY, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
        (ALG, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT),
    ],
)
def test_sockets(
    name: str, family: int, protocol: int, without: str | int, with_internet: str | int
) -> None:
    machine = MACHINES[name]
    call = (machine.architecture, machine.socket, family, 1, protocol)
    assert verdict(program(name), *call) == without
    assert verdict(program(name, internet=True), *call) == with_internet
    pair = verdict(program(name, internet=True), machine.architecture, machine.socketpair, family)
    assert pair == (ALLOW if family == UNIX else errno.EAFNOSUPPORT)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_types_into_a_terminal(name: str) -> None:
    machine = MACHINES[name]
    for request, expected in ((0x5412, errno.EPERM), (0x541C, errno.EPERM), (0x5413, ALLOW)):
        # the kernel looks at 32 bits of a request, so a filter must not be told apart by the rest
        for high in (0, 1 << 32):
            call = (machine.architecture, machine.ioctl, 0, request | high)
            assert verdict(program(name), *call) == expected


@pytest.mark.parametrize("name", NAMES)
def test_calls_of_other_architectures(name: str) -> None:
    others = {each.architecture for each in MACHINES.values()} - {MACHINES[name].architecture}
    for architecture in (*others, 0x4000_0003):
        assert verdict(program(name), architecture, 1) == KILL
    if name == "x86_64":
        assert verdict(program(name), 0xC000_003E, 0x4000_0000 + 165) == errno.ENOSYS
        assert verdict(program(name), 0xC000_003E, 0xFFFF_FFFF) == errno.ENOSYS


def test_a_machine_without_a_table() -> None:
    assert program_for("riscv64", internet=True) is None


@pytest.mark.skipif(os.uname().machine not in NAMES, reason="no filter for this machine")
def test_a_filter_that_is_installed() -> None:
    code = (
        "import ctypes, os, socket, subprocess, sys\n"
        "from noether_runner.sandbox import confining, prctl, seccomp\n"
        "prctl.forbid_new_privileges()\n"
        "program = seccomp.program_for(os.uname().machine, internet=False)\n"
        "confining.install(program)\n"
        "def refused(f):\n"
        "    try: f()\n"
        "    except OSError as error: return error.errno\n"
        "print([\n"
        "    refused(lambda: socket.socket(socket.AF_INET)),\n"
        "    refused(lambda: socket.socket(socket.AF_UNIX).close()),\n"
        "    ctypes.CDLL(None).unshare(0x10000000),\n"
        "    subprocess.run(['true']).returncode,\n"
        "    [line.split()[1] for line in open('/proc/self/status') if 'Seccomp:' in line],\n"
        "])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"[{errno.ENETUNREACH}, None, -1, 0, ['2']]\n", done.stderr
