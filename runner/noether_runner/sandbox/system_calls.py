"""Numbers of the system calls that stages in a sandbox may not make, per machine.

Sources: `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h` of Linux.
Numbers from 424 on are the same everywhere. The list is that of `runtimes.md` §7.8, with the near
relatives that give the same power.
"""

from collections.abc import Mapping

from noether_contract.lean_dataclass import dataclass

_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "open_tree_attr": 467,
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a filter must know of a machine.

    `architecture` is the word of `linux/audit.h` that the kernel hands to filters, `foreign_from`
    the first number of calls of another kind under the same word (x32), if there are any. `denied`
    are the calls refused whatever their arguments, by name; the other members are those that are
    looked into.
    """

    architecture: int
    denied: Mapping[str, int]
    clone: int
    ioctl: int
    socket: int
    socketpair: int
    clone3: int = 435
    foreign_from: int | None = None


_X86_64 = Machine(
    architecture=0xC000_003E,
    foreign_from=0x4000_0000,
    clone=56,
    ioctl=16,
    socket=41,
    socketpair=53,
    denied={
        **_EVERYWHERE,
        "ptrace": 101,
        "pivot_root": 155,
        "adjtimex": 159,
        "acct": 163,
        "settimeofday": 164,
        "mount": 165,
        "umount2": 166,
        "swapon": 167,
        "swapoff": 168,
        "reboot": 169,
        "iopl": 172,
        "ioperm": 173,
        "init_module": 175,
        "delete_module": 176,
        "quotactl": 179,
        "lookup_dcookie": 212,
        "clock_settime": 227,
        "kexec_load": 246,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "unshare": 272,
        "perf_event_open": 298,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "clock_adjtime": 305,
        "setns": 308,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "finit_module": 313,
        "kexec_file_load": 320,
        "bpf": 321,
        "userfaultfd": 323,
    },
)

_AARCH64 = Machine(
    architecture=0xC000_00B7,
    clone=220,
    ioctl=29,
    socket=198,
    socketpair=199,
    denied={
        **_EVERYWHERE,
        "lookup_dcookie": 18,
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "quotactl": 60,
        "acct": 89,
        "unshare": 97,
        "kexec_load": 104,
        "init_module": 105,
        "delete_module": 106,
        "clock_settime": 112,
        "ptrace": 117,
        "reboot": 142,
        "settimeofday": 170,
        "adjtimex": 171,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "swapon": 224,
        "swapoff": 225,
        "perf_event_open": 241,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "clock_adjtime": 266,
        "setns": 268,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "finit_module": 273,
        "bpf": 280,
        "userfaultfd": 282,
        "kexec_file_load": 294,
    },
)

MACHINES: Mapping[str, Machine] = {"x86_64": _X86_64, "aarch64": _AARCH64}
"""By the name that uname(2) gives them."""
