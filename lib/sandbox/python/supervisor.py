"""Runs one program: starts it behind its restrictions, watches time, memory and output, ends it."""

import json
import os
import resource
import shutil
import signal
import tempfile
import time

import landlock
import namespaces
import program
import seccomp
from files import disk_space
from processes import memory, read_all, tree
from reader import Reader
from system import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, drop_capabilities, prctl

TICK = 0.02
# Processes of ours that are counted with the program's. Below, all of the user's are.
OURS = {"namespaces": 1, "bubblewrap": 4, "landlock": 1, "limits": 1}
REASONS = ("assertion", "exception", "exit", "memory", "refused")


class SetupError(Exception):
    """The sandbox failed, not the program."""


def supervise(source, limits, level, proc):
    """Runs `source`, in a process that is used for nothing else.

    `limits`: timeoutSeconds, memoryBytes, fileBytes, outputBytes, processes. `proc` is an open /proc.
    Returns {reason, message, output, outputBytes, elapsedMs}; reason is "passed" for a program that came
    to its end.
    """
    secret = [os.urandom(16)]
    pipes = [os.pipe() for _ in range(3)]
    isolated = level == "namespaces"
    folder = namespaces.SCRATCH if isolated else scratch()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if isolated:
        namespaces.begin_program()
    init = os.fork()
    if init == 0:
        first_process(source, limits, level, proc, folder, pipes, secret)
    (output, output_end), (result, result_end), (setup, setup_end) = pipes
    for file in (output_end, result_end, setup_end):
        os.close(file)
    try:
        problem = read_all(setup)
        if problem:
            raise SetupError(problem.decode(errors="replace"))
        on_disk = folder if level in ("landlock", "limits") else None
        return watch(init, limits, proc, on_disk, output, result, secret[0])
    finally:
        end(init, proc, isolated)
        if not isolated:
            shutil.rmtree(folder, ignore_errors=True)


def scratch():
    """A folder for one program; nobody's, where there is a nobody to become who can read Python."""
    folder = tempfile.mkdtemp(prefix="dece-program-")
    try:
        if os.getuid() == 0 and nobody_reads(os.__file__):
            os.chown(folder, namespaces.NOBODY, namespaces.NOBODY)
    except OSError:
        pass
    return folder


def nobody_reads(path):
    os.seteuid(namespaces.NOBODY)
    try:
        return os.access(path, os.R_OK, effective_ids=True)
    finally:
        os.seteuid(0)


def first_process(source, limits, level, proc, folder, pipes, secret):
    """Gives up all rights, then starts the program and waits for it. As the first process of its
    namespace it takes all others with it when it ends. Never returns."""
    output_end, result_end, setup_end = (end for _, end in pipes)
    try:
        first_out_of_memory(proc)
        restrict(limits, level, proc, folder)
        only(output_end, result_end, setup_end)
    except BaseException as error:
        os.write(setup_end, str(error).encode() or b"failed")
        os._exit(1)
    os.close(setup_end)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(output_end, 1)
        os.dup2(output_end, 2)
        os.close(output_end)
        program.run(source, result_end, secret)
        os._exit(0)
    secret.clear()
    only()
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
    signal.alarm(int(limits["timeoutSeconds"]) + 10)  # should the supervisor be gone
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def first_out_of_memory(proc):
    """Where the machine's memory ends before the program's, the program goes, nobody else."""
    file = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=proc)
    os.write(file, b"1000")
    os.close(file)


def restrict(limits, level, proc, folder):
    readable, writable = ["/"], [folder, "/dev/null"]
    if level == "namespaces":
        namespaces.empty_folder(limits["fileBytes"])
        namespaces.become_nobody(proc)
    else:
        readable = [*namespaces.readable(), "/dev/null", "/dev/zero", "/dev/urandom", folder]
        if os.getuid() == 0 and os.stat(folder).st_uid == namespaces.NOBODY:
            namespaces.take_ids()
        elif level == "limits":
            raise PermissionError(
                "without Landlock a program would own all files of its user: only root can start one, who "
                "becomes the user nobody for it, with a Python that everybody may read"
            )
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    set_limits(limits, level)
    if level != "limits":
        landlock.restrict(readable, writable)
    drop_capabilities()
    # Two barriers where others' processes are in reach; within bubblewrap, that is ours only.
    alone = level == "namespaces" or (level == "bubblewrap" and landlock.version() >= 6)
    seccomp.restrict(processes=not alone, files=level in ("landlock", "limits"))


def set_limits(limits, level):
    seconds = int(limits["timeoutSeconds"]) + 2
    for name, value in (
        ("AS", limits["memoryBytes"]),
        ("FSIZE", limits["fileBytes"]),
        ("NPROC", limits["processes"] + OURS[level]),
        ("CPU", seconds),
        ("NOFILE", 64),
        ("CORE", 0),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
    ):
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def only(*files):
    """Closes all files but the first three and these."""
    before = 3
    for file in sorted(files):
        os.closerange(before, file)
        before = file + 1
    os.closerange(before, 65536)


def watch(init, limits, proc, folder, output, result, secret):
    """`folder`: the program's, where nothing else holds all its files to `fileBytes`."""
    started = time.monotonic()
    reader = Reader(output, result, limits["outputBytes"])
    reason, status, looked = None, None, started
    while reason is None:
        reader.read(TICK)
        pid, status = os.waitpid(init, os.WNOHANG)
        now = time.monotonic()
        if pid == init:
            break
        if now - started > limits["timeoutSeconds"]:
            reason = "timeout"
        elif now - looked > TICK:
            looked = now
            if memory(proc, init) > limits["memoryBytes"]:
                reason = "memory"
            elif folder and disk_space(folder, limits["fileBytes"]) > limits["fileBytes"]:
                reason = "refused"
    elapsed = time.monotonic() - started
    if reason is not None:
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)
    reader.drain()
    if reason == "timeout":
        verdict = {"reason": reason, "message": f"ran for more than {limits['timeoutSeconds']} s"}
    elif reason == "memory":
        verdict = {"reason": reason, "message": f"took more than {limits['memoryBytes']} bytes"}
    elif reason == "refused":
        verdict = {"reason": reason, "message": f"wrote more than {limits['fileBytes']} bytes to files"}
    else:
        verdict = judge(os.waitstatus_to_exitcode(status), reader.result, secret)
    text = bytes(reader.output).decode("utf-8", "replace")
    counts = {"outputBytes": reader.written, "elapsedMs": 1000 * elapsed}
    return {**verdict, "output": text, **counts}


def judge(code, said, secret):
    """What a program's end means. All but the secret could have been written by the program."""
    if code == 0 and said.endswith(secret):
        return {"reason": "passed", "message": ""}
    try:
        found = json.loads(said.rsplit(b"\n", 1)[-1])
        if code == 0 and found["reason"] in REASONS:
            return {"reason": found["reason"], "message": str(found["message"])[:400]}
    except Exception:  # not ours
        pass
    how = f"by signal {code - 128}" if code > 128 else f"with exit code {code}"
    return {"reason": "exit", "message": f"ended {how} before its tests did"}


def end(init, proc, isolated):
    """Ends all that the program has started. Without a namespace, what it started may start more
    meanwhile: it is looked for until there is nothing."""
    try:
        os.kill(init, signal.SIGKILL)
    except ProcessLookupError:
        pass
    while True:
        if not isolated:
            for pid in tree(proc, os.getpid())[1:]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            os.waitpid(-1, 0 if isolated else os.WNOHANG)
        except ChildProcessError:
            return
