"""Runs untrusted Python programs, one after the other: each is a copy of this process, behind what the
system has to hold it.

    python3 runner.py '{"strongest": "namespaces", "timeoutSeconds": 3, ...}'

The first line it writes is what holds programs here: level, version of Landlock's interface, whether
there is a filter of system calls, and why there is no more. Then a line of JSON, a program as a string,
is answered by a line: supervisor.supervise's, or {"error"}, where the sandbox failed.
"""

import json
import os
import signal
import sys

# Ours is looked at last, and not at all once programs run.
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if path != FOLDER] + [FOLDER]

import collector  # noqa: E402
import landlock  # noqa: E402
import namespaces  # noqa: E402
import seccomp  # noqa: E402
from processes import read_all  # noqa: E402
from supervisor import SetupError, supervise  # noqa: E402
from system import PR_SET_PDEATHSIG, prctl  # noqa: E402

# What programs import most, so that each need not.
COMMON = (
    "bisect collections copy cmath datetime decimal fractions functools hashlib heapq itertools math "
    "operator random re statistics string typing"
).split()


def main():
    limits = json.loads(sys.argv[1])
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in range(3):
        os.dup2(nothing, file)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    for name in COMMON:
        __import__(name)
    del sys.path[-1]
    collector.close()

    level, problem = isolate(limits, proc)
    held = {"level": level, "landlock": landlock.version(), "seccomp": seccomp.available()}
    say(answers, {**held, "problem": problem})
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for line in requests:
        keeper = os.fork()
        if keeper == 0:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            say(answers, answer(json.loads(line), limits, level, proc))
            os._exit(0)
        _, status = os.waitpid(keeper, 0)
        if status != 0:
            say(answers, {"error": f"what watches a program ended with status {status}"})


def say(answers, what):
    left = json.dumps(what).encode() + b"\n"
    while left:
        left = left[os.write(answers, left) :]


def answer(source, limits, level, proc):
    try:
        return supervise(source, limits, level, proc)
    except (SetupError, OSError) as error:
        return {"error": str(error)}


def isolate(limits, proc):
    """Enters the strongest level there is, and says why it is not a stronger one."""
    strongest = limits["strongest"]
    if strongest == "bubblewrap":
        return strongest, ""  # which has started this process
    weaker = "landlock" if landlock.version() and strongest != "limits" else "limits"
    if strongest != "namespaces":
        return weaker, "more was not asked for"
    problem = attempt(limits, proc)
    if problem:
        return weaker, problem
    namespaces.enter(proc)
    return "namespaces", ""


def attempt(limits, proc):
    """Tries all of it with an empty program, in a process that is thrown away."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            namespaces.enter(proc)
            said = answer("", limits, "namespaces", proc)
            passed = said.get("reason") == "passed"
            problem = "" if passed else said.get("error") or said["message"]
        except Exception as error:
            problem = str(error)
        os.write(write, problem.encode())
        os._exit(0)
    os.close(write)
    problem = read_all(read).decode()
    _, status = os.waitpid(child, 0)
    return problem or ("" if status == 0 else f"ended with status {status}")


main()
