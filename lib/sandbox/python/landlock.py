"""What a process and its children may do with files, held by the kernel (Landlock, Linux 5.13)."""

import ctypes
import os

from system import PR_SET_NO_NEW_PRIVS, prctl, raw

EXECUTE, READ_FILE, READ_DIR = 1, 4, 8


def version():
    """The version of Landlock's interface, or 0 where there is none."""
    try:
        return raw("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def restrict(readable, writable):
    """Nothing may be read but what is beneath `readable`, nothing written but beneath `writable`; no
    TCP, and from version 6 on no signal to a process outside."""
    abi = version()
    if abi == 0:
        return
    everything = (1 << (13 + (abi >= 2) + (abi >= 3))) - 1 | ((1 << 15) if abi >= 5 else 0)
    rights = [everything] + [3] * (abi >= 4) + [3] * (abi >= 6)
    attributes = (ctypes.c_uint64 * len(rights))(*rights)
    size = ctypes.sizeof(attributes)
    ruleset = raw("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    for path in readable:
        allow(ruleset, path, (EXECUTE | READ_FILE | READ_DIR))
    for path in writable:
        allow(ruleset, path, everything)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    raw("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


class PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def allow(ruleset, path, rights):
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        for_files = 0x1 | 0x2 | 0x4 | (1 << 14) | (1 << 15)
        if not os.path.isdir(path):
            rights &= for_files
        rule = PathBeneath(rights, file)
        raw("landlock_add_rule", ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(file)
