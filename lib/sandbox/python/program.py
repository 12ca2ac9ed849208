"""What happens in the process of a program: it runs, and says how it ended."""

import errno
import json
import os
import random
import sys
import tempfile
import types
from collections import deque
from functools import partial

REFUSED = {
    errno.EPERM, errno.EACCES, errno.EROFS, errno.EFBIG, errno.ENOSPC, errno.EAGAIN, errno.EMFILE,
}  # fmt: skip

OURS = (
    "collector", "landlock", "namespaces", "processes", "program", "reader", "seccomp", "supervisor",
    "system",
)  # fmt: skip


def run(source, result, secret):
    """Runs a program and writes its secret to `result` when it has come to its end, else a line of
    JSON with the reason. `secret` is a list that is emptied.

    The program shares this process. So that its end cannot be claimed by exiting, printing or writing
    everywhere, only the secret counts; and that is known to no frame or name that the program could
    walk to, only to a call in progress, which the garbage collector would lead to (see collector).
    Native access to memory finds it, and a trace function can step over what would fail.
    """
    steps = []
    try:
        prepare()
        code = compile(source, "<program>", "exec", dont_inherit=True)
        run_it = partial(exec, code, new_module("program").__dict__)
        steps.append(map(partial.__call__, (run_it, partial(os.write, result, secret.pop()))))
        # Makes one call after the other, until one raises; no name leads to the second any more.
        deque(steps.pop(), 0)
    except BaseException as error:  # of any kind: the program chooses
        os.write(result, describe(error))
    flush()


def prepare():
    """A process in which nothing of ours is in reach of an import, and chance is the same each time."""
    os.environ.clear()
    folder = os.getcwd()
    os.environ.update(HOME=folder, TMPDIR=folder, LANG="C.UTF-8")
    tempfile.tempdir = None  # what it had found before
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # processes are counted
    for name in OURS:
        sys.modules.pop(name, None)
    sys.argv = ["program.py"]
    new_module("__main__")
    random.seed(0)


def new_module(name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    return module


def describe(error):
    """Why a program failed, as a line of JSON."""
    try:
        kind, text = type(error).__name__, str(error)[:300]
        found = {"reason": reason(error), "message": f"{kind}: {text}" if text else kind}
        return b"\n" + json.dumps(found).encode()
    except BaseException:
        return b'\n{"reason": "exception", "message": "an exception that cannot be shown"}'


def reason(error):
    if isinstance(error, AssertionError):
        return "assertion"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, SystemExit):
        return "exit"
    if isinstance(error, OSError) and error.errno in REFUSED:
        return "refused"
    return "exception"


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
