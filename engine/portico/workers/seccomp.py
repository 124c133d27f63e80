"""The system calls that a caged worker does not have (Linux seccomp).

A filter of classic BPF that answers EPERM to what reaches other processes, the network, the
kernel or devices; everything else stays as it was. Threads may be made, processes not: clone
is looked at by its flags, clone3, whose flags no filter can see, is answered ENOSYS and libc
falls back. Source: Linux Documentation/userspace-api/seccomp_filter.rst, asm/unistd_64.h and
asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Collection
from functools import cache

from portico.workers import libc

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_CLONE_THREAD = 0x10000
_X32 = 0x40000000  # the bit of x86's second table of calls

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian

# By machine: what the kernel calls it, and its column below.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_Pair = tuple[int | None, int | None]
_DENIED: dict[str, _Pair] = {
    # sockets of any family; the one to the engine is open already
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    # other programs and processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "process_madvise": (440, 440),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "sched_setattr": (314, 274),
    "setpriority": (141, 140), "ioprio_set": (251, 30),
    # memory and queues that are shared by name
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180),
    # file systems and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "move_mount": (429, 429), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "unshare": (272, 97), "setns": (308, 268), "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "acct": (163, 89), "swapon": (167, 224), "swapoff": (168, 225),
    # what a file may, which Landlock leaves alone
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88),
    # the kernel itself
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "personality": (135, 92), "ioperm": (173, None), "iopl": (172, None),
    "modify_ldt": (154, None), "vhangup": (153, 58), "nfsservctl": (180, 42),
    # who we are
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159),
    "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91),
}  # fmt: skip
SOCKETS = frozenset(
    ("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4")
)  # for who may speak to a network
PROGRAMS = frozenset(
    ("execve", "socketpair")
)  # for who becomes another program; Java's files need a pair, which leads nowhere
_CLONE: _Pair = (56, 220)
_CLONE3: _Pair = (435, 435)
_TO_ITSELF: dict[str, _Pair] = {  # the first argument names the process: only our own
    "kill": (62, 129),
    "tgkill": (234, 131),
}
_OF_ITSELF: dict[str, _Pair] = {  # or 0, which is the one that asks
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
}


@cache
def available() -> bool:
    """Whether this machine has filters, and we its table of calls."""
    if platform.machine() not in _MACHINES or not hasattr(os, "uname"):
        return False
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as actions:
            return "errno" in actions.read()
    except OSError:
        return False


def shut(kept: Collection[str] = ()) -> None:
    """Take the calls away from this process for good, but for those kept. Raises OSError."""
    filters = program(platform.machine(), os.getpid(), kept)
    buffer = ctypes.create_string_buffer(filters, len(filters))
    head = struct.pack("HxxxxxxP", len(filters) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(head, len(head)))


def program(machine: str, pid: int, kept: Collection[str] = ()) -> bytes:
    """The filter for a process of that number: instructions of 8 bytes."""
    arch, column = _MACHINES[machine]

    def numbered(pair: _Pair) -> int:
        number = pair[column]
        return -1 if number is None else number

    code = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]  # fmt: skip
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    refused = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    denied = [pair for name, pair in _DENIED.items() if name not in kept]
    for number in filter(lambda one: one >= 0, map(numbered, denied)):
        code += [(_EQUAL, 0, 1, number), refused]
    code += [(_EQUAL, 0, 1, numbered(_CLONE3)), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    allowed, first = (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT)
    code += [(_EQUAL, 0, 4, numbered(_CLONE)), first]
    code += [(_ANY_BIT, 0, 1, _CLONE_THREAD), allowed, refused]
    for pair in _TO_ITSELF.values():
        code += [(_EQUAL, 0, 4, numbered(pair)), first, (_EQUAL, 0, 1, pid), allowed, refused]
    for pair in _OF_ITSELF.values():
        code += [(_EQUAL, 0, 5, numbered(pair)), first]
        code += [(_EQUAL, 1, 0, pid), (_EQUAL, 0, 1, 0), allowed, refused]
    return b"".join(struct.pack("HBBI", *one) for one in [*code, allowed])


def _prctl(option: int, *values: object) -> None:
    padded = [*values, *(ctypes.c_ulong(0),) * (4 - len(values))]
    if libc.library().prctl(option, *padded) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
