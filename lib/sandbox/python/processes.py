"""What can be seen of processes from outside; `proc` is an open /proc."""

import os


def memory(proc, pid):
    """Bytes that a process and those it has started hold for themselves."""
    return sum(held(proc, one) for one in tree(proc, pid))


def held(proc, pid):
    lines = read_text(proc, f"{pid}/status").splitlines()
    kilobytes = [line.split()[1] for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return 1024 * sum(map(int, kilobytes))


def tree(proc, pid):
    """A process and all it has started, as far as they can be seen from outside."""
    found = [pid]
    for one in found:
        for task in read_names(proc, f"{one}/task"):
            found += map(int, read_text(proc, f"{one}/task/{task}/children").split())
    return found


def read_text(proc, path):
    try:
        file = os.open(path, os.O_RDONLY, dir_fd=proc)
    except OSError:
        return ""
    try:
        return read_all(file).decode()
    except OSError:
        os.close(file)
        return ""


def read_names(proc, path):
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=proc)
    except OSError:
        return []
    try:
        return os.listdir(file)
    except OSError:
        return []
    finally:
        os.close(file)


def read_all(file):
    """All bytes up to the end of a file, which is closed then."""
    parts = []
    while True:
        part = os.read(file, 65536)
        if not part:
            os.close(file)
            return b"".join(parts)
        parts.append(part)
