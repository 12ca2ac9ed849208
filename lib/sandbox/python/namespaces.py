"""A file system of read-only libraries and one empty folder, without network or other processes.

Root needs no user namespace for this; others get one in which they are root.
"""

import ctypes
import os
import sys
import sysconfig

from system import PR_SET_DUMPABLE, detach, mount, prctl, raw, unshare

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
RDONLY, NOSUID, NODEV, BIND, REC, PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
NOBODY = 65534
SCRATCH = "/scratch"


def readable():
    """What Python needs of the file system: its modules, the system's libraries, and itself."""
    prefixes = {os.path.realpath(p) for p in (sys.prefix, sys.base_prefix) if p != "/"}
    modules = [
        path for path in map(os.path.realpath, filter(None, sys.path))
        if any(path.startswith(prefix + "/") for prefix in prefixes)
    ]  # fmt: skip
    libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
    others = ["/etc/ld.so.cache", "/usr/share/zoneinfo", os.path.realpath(sys.executable)]
    shared = sysconfig.get_config_var("LIBDIR")
    paths = modules + libraries + others + ([shared] if shared else [])
    found = sorted({path for path in paths if os.path.exists(path)})
    return [path for path in found if not any(path.startswith(p + "/") for p in found)]


def enter(proc):
    """Leaves the file system, network and IPC of the caller; `proc` is an open /proc."""
    spaces = NEWNS | NEWNET | NEWIPC | NEWUTS
    try:
        unshare(spaces)
    except PermissionError:
        enter_user(proc, spaces | NEWUSER)
    make_root("/sys")


def enter_user(proc, spaces):
    """Becomes root of a new user namespace. Of the system's root all ids are mapped, which takes one who
    stays outside, so that there is a nobody to become."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        unshare(spaces)
        return map_ids(proc, "self", (0, uid, 1), (0, gid, 1))
    read, write = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.read(read, 1)
        try:
            map_ids(proc, os.getppid(), (0, 0, NOBODY + 1), (0, 0, NOBODY + 1))
            os._exit(0)
        except OSError:
            os._exit(1)
    try:
        unshare(spaces)
    finally:
        os.write(write, b"x")
        _, status = os.waitpid(mapper, 0)
        os.close(read)
        os.close(write)
    if status != 0:
        raise PermissionError("the ids of a user namespace cannot be mapped")


def map_ids(proc, pid, uids, gids):
    """The ids of a process in a new user namespace: inside, outside, how many."""
    texts = {"uid_map": "%d %d %d" % uids, "gid_map": "%d %d %d" % gids}
    if uids[2] == 1:
        texts = {"setgroups": "deny", **texts}
    for name, text in texts.items():
        file = os.open(f"{pid}/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def make_root(base):
    """Makes a tmpfs at `base`, fills it by bind mounts, and makes it the root."""
    mount(None, "/", None, REC | PRIVATE)
    mount("tmpfs", base, "tmpfs", NOSUID | NODEV, "size=1m,mode=755")
    for path in readable():
        if os.path.islink(path):
            os.symlink(os.readlink(path), base + path)
        else:
            bind(path, base + path)
            read_only(base + path, REC, NODEV)
    for name in ("null", "zero", "random", "urandom"):
        bind(f"/dev/{name}", f"{base}/dev/{name}")
    os.mkdir(base + SCRATCH)
    for name in ("/tmp", "/dev/shm"):
        if not os.path.lexists(base + name):
            os.symlink(SCRATCH, base + name)
    read_only(base, 0, NODEV)
    os.chdir(base)
    raw("pivot_root", b".", b".")
    detach(".")
    os.chdir("/")


def bind(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT))
    mount(source, target, None, BIND | REC)


def read_only(path, recursive, more):
    """Adds restrictions to a mount, and those below it; what it has already stays."""
    at_fdcwd, at_recursive = -100, 0x8000 if recursive else 0
    attributes = (ctypes.c_uint64 * 4)(RDONLY | NOSUID | more, 0, 0, 0)
    size = ctypes.sizeof(attributes)
    raw("mount_setattr", at_fdcwd, os.fsencode(path), at_recursive, ctypes.byref(attributes), size)


def begin_program():
    """Namespaces that one program has for itself; the next fork is their first process."""
    unshare(NEWPID | NEWNS | NEWIPC)


def empty_folder(size):
    options = f"size={size},nr_inodes=4096,mode=1777"
    mount("tmpfs", SCRATCH, "tmpfs", NOSUID | NODEV, options)


def become_nobody(proc):
    """Gives root away. In a user namespace of its own a program's processes are counted by
    themselves: RLIMIT_NPROC holds for all but the system's root."""
    if os.getuid() == 0 and maps_nobody(proc):
        take_ids()
        prctl(PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root
    uid, gid = os.getuid(), os.getgid()
    unshare(NEWUSER)
    map_ids(proc, "self", (NOBODY, uid, 1), (NOBODY, gid, 1))


def take_ids():
    """Becomes nobody, out of whose processes no other of nobody's can read."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def maps_nobody(proc):
    """Whether there is a nobody here, next to root."""
    file = os.open("self/uid_map", os.O_RDONLY, dir_fd=proc)
    try:
        lines = os.read(file, 65536).splitlines()
    finally:
        os.close(file)
    return any(first <= NOBODY < first + count for first, _, count in (map(int, x.split()) for x in lines))
