"""System calls that Python has no name for, each an OSError where it fails."""

import ctypes
import os
import platform

MACHINE = platform.machine()
libc = ctypes.CDLL(None, use_errno=True)

# (x86_64, aarch64); those added since Linux 5.0 have one number everywhere.
NUMBERS = {
    "capset": (126, 91),
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38


def number(numbers):
    """The number of a call on this machine, out of the pair of them."""
    if MACHINE not in ("x86_64", "aarch64"):
        raise OSError(f"no system calls are known for {MACHINE}")
    return numbers[0 if MACHINE == "x86_64" else 1]


def checked(what, result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def raw(name, *args):
    """A system call by its number; integers are passed as longs."""
    longs = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return checked(name, libc.syscall(ctypes.c_long(number(NUMBERS[name])), *longs))


def prctl(option, *args):
    longs = [arg if not isinstance(arg, int) else ctypes.c_ulong(arg) for arg in args]
    longs += [ctypes.c_ulong(0)] * (4 - len(longs))
    return checked(f"prctl {option}", libc.prctl(ctypes.c_int(option), *longs))


def unshare(flags):
    checked("unshare", libc.unshare(ctypes.c_int(flags)))


def mount(source, target, kind, flags, options=None):
    text = [None if part is None else os.fsencode(part) for part in (source, target, kind, options)]
    result = libc.mount(*text[:3], ctypes.c_ulong(flags), text[3])
    checked(f"mount {target}", result)


def detach(target):
    """Unmounts what is at `target`, also where it is still used."""
    checked("umount", libc.umount2(os.fsencode(target), ctypes.c_int(2)))


def drop_capabilities():
    """No capability is left, and none comes back by starting another program."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    raw("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))
