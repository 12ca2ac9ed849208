"""PyTorch's side of `dece bench`: runs what it is told on stdin, and answers on stdout.

A message is a line of JSON. `version` names torch's; `load` reads logits and labels from files, makes a first pass of every
provider (which compiles some) and answers with their names; `run` times one of them, forward and
backward; `gradient` writes rows of its gradient to a file; `memory` measures its peak.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F


def dece(logits, labels, alpha, smoothing):
    """DeCE in the study's published form, as its authors compute it: eager, with p clamped to
    [1e-7, 1] and the smoothing spread over the other classes. Yang et al., 2024."""
    classes = logits.size(1)
    p = torch.softmax(logits, dim=1).clamp(1e-7, 1.0)
    y = torch.full_like(p, smoothing / (classes - 1)).scatter_(1, labels[:, None], 1 - smoothing)
    return -(y * torch.log(alpha * p + (1 - alpha) * y)).sum(1).mean()


ALPHA, SMOOTHING = 0.8, 0.05

losses = {
    "torch dece eager": lambda x, t: dece(x, t, ALPHA, SMOOTHING),
    "torch dece compiled": None,
    "torch ce": F.cross_entropy,
    "torch ce smoothed": lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1),
    "torch ce smoothed compiled": None,
}
logits = labels = None


def compiled(name):
    torch._dynamo.reset()
    return torch.compile(losses[name], dynamic=False)


def step(name):
    logits.grad = None
    started = time.perf_counter()
    if name == "torch clone":
        with torch.no_grad():
            logits.clone()
    else:
        losses[name](logits, labels).backward()
    return 1e3 * (time.perf_counter() - started)


def status(field):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field):
                return 1024 * int(line.split()[1])
    return 0


def load(message):
    global logits, labels
    shape = (message["rows"], message["classes"])
    torch.set_num_threads(message["threads"])
    logits = torch.from_file(message["logits"], size=shape[0] * shape[1], dtype=torch.float32)
    logits = logits.clone().view(shape).requires_grad_()
    labels = torch.from_file(message["labels"], size=shape[0], dtype=torch.int32).long()
    names = ["torch clone"]
    failed = {}
    for name in losses:
        try:
            if name.endswith(" compiled"):
                losses[name] = compiled(name.removesuffix(" compiled").replace(" dece", " dece eager"))
            for _ in range(3):
                step(name)
            names.append(name)
        except Exception as error:  # such as a compiler that is not there
            failed[name] = str(error).strip().splitlines()[0]
    return {"providers": names, "failed": failed}


def gradient(message):
    step(message["name"])
    rows = logits.grad[message["rows"]].contiguous().numpy()
    rows.tofile(message["path"])
    return {}


def memory(message):
    logits.grad = None
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS")
        step(message["name"])
        return {"bytes": status("VmHWM") - before}
    except OSError:
        return {"bytes": None}


for line in sys.stdin:
    message = json.loads(line)
    if message["do"] == "version":
        answer = {"version": torch.__version__}
    elif message["do"] == "load":
        answer = load(message)
    elif message["do"] == "run":
        answer = {"ms": step(message["name"])}
    elif message["do"] == "gradient":
        answer = gradient(message)
    else:
        answer = memory(message)
    print(json.dumps(answer), flush=True)
