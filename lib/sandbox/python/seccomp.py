"""System calls that no program under test needs, refused by a filter in the kernel."""

import ctypes

from system import MACHINE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, number, prctl

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
EPERM, ENOSYS = 1, 38
NEW_NAMESPACES = 0x7E020000

# (x86_64, aarch64): sockets, other processes' memory, namespaces, mounts, memory outside an address
# space, and parts of the kernel with a history of holes.
REFUSED = {
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "unshare": (272, 97), "setns": (308, 268),
    "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40), "umount2": (166, 39),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "personality": (135, 92), "open_by_handle_at": (304, 265), "syslog": (103, 116),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
# For where no namespace keeps others' processes, and the memory and queues they share, out of reach.
PROCESSES = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "prlimit64": (302, 261),
    "setpriority": (141, 140), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "process_mrelease": (448, 448),
    "shmat": (30, 196), "shmctl": (31, 195), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191),
    "mq_unlink": (241, 181),
}  # fmt: skip
# For where no mount keeps others' files out of reach: what Landlock does not know, `truncate` before
# its version 3. The flags of openat2 lie in memory.
FILES = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "truncate": (76, 45),
    "openat2": (437, 437), "inotify_add_watch": (254, 27), "fanotify_init": (300, 262),
}  # fmt: skip
# Calls with values of an argument that are refused: numbers, place, bits that count, values.
DATAGRAMS = [((53, 199), 1, 0xF, (2, 3))]  # a pair of sockets of which one could be sent elsewhere
# Emptying what is opened to be read, and mode 3, which asks Landlock for no right at all.
MODES = (0x200, 0x3, 0x203)
OPENING = [((2, None), 1, 0x203, MODES), ((257, 56), 2, 0x203, MODES)]
# Attributes of files (FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR).
ATTRIBUTES = [((16, 29), 1, 0xFFFFFFFF, (0x40086602, 0x401C5820))]


class Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("code", ctypes.POINTER(Instruction))]


LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def available():
    return MACHINE in ARCHITECTURE


def restrict(processes, files):
    """For this process and all it starts. Calls of another architecture end it, as x32's do.

    `processes`, `files`: whether others' are in reach, and are to be kept from it.
    """
    if not available():
        return
    calls = {**REFUSED, **(PROCESSES if processes else {}), **(FILES if files else {})}
    values = DATAGRAMS + (OPENING + ATTRIBUTES if files else [])
    code = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, ARCHITECTURE[MACHINE]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, 0x40000000),
        (RETURN, 0, 0, KILL),
        # What clone3 is asked for lies in memory, out of a filter's sight: libraries then use clone.
        (EQUAL, 0, 1, number(CLONE3)),
        (RETURN, 0, 0, ERROR | ENOSYS),
    ]
    for one in present(calls.values()):
        code += [(EQUAL, 0, 1, one), (RETURN, 0, 0, ERROR | EPERM)]
    for numbers, *rest in values:
        for one in present([numbers]):
            code += by_argument(one, *rest)
    code += [
        (EQUAL, 0, 3, number(CLONE)),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, ERROR | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    instructions = (Instruction * len(code))(*code)
    program = Program(len(code), instructions)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, 2, ctypes.byref(program))


def present(pairs):
    """The numbers of those calls that this machine has."""
    return [one for one in map(number, pairs) if one is not None]


def by_argument(one, place, bits, values):
    """Refuses a call where these bits of an argument, of its lower half, have one of these values."""
    code = [(LOAD, 0, 0, FIRST_ARGUMENT + 8 * place), (AND, 0, 0, bits)]
    for value in values:
        code += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ERROR | EPERM)]
    code += [(RETURN, 0, 0, ALLOW)]
    return [(EQUAL, 0, len(code), one), *code]
