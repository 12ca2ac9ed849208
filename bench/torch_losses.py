"""PyTorch's side of `dece bench`: runs what it is told on stdin, and answers on stdout.

A message is a line of JSON. `version` names torch's; `load` reads logits and labels from files onto a device, makes a first
pass of every provider (which compiles some) and answers with their names, which on a GPU end in `, bfloat16` for a second
turn; `run` times one of them, forward and backward; `gradient` writes rows of its gradient to a file; `memory` measures its
peak. Liger's kernels are among them on a GPU where they are installed.
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
sources = {}  # by dtype
labels = None


def liger():
    from liger_kernel.transformers.functional import liger_cross_entropy

    return {
        "liger ce": liger_cross_entropy,
        "liger ce smoothed": lambda x, t: liger_cross_entropy(x, t, label_smoothing=0.1),
    }


def compiled(name):
    torch._dynamo.reset()
    return torch.compile(losses[name], dynamic=False)


def source_of(name):
    return sources["bfloat16" if name.endswith(", bfloat16") else "float32"]


def work(name, logits):
    name = name.removesuffix(", bfloat16")
    if name == "torch clone":
        with torch.no_grad():
            logits.clone()
    else:
        losses[name](logits, labels).backward()


def prepared(name):
    """The logits that a step may take, without a gradient."""
    logits = source_of(name)
    if name.startswith("liger"):  # writes over them
        logits = logits.detach().clone().requires_grad_()
    logits.grad = None
    return logits


def step(name, logits):
    """Milliseconds of forward and backward; the logits have their gradient then."""
    if not logits.is_cuda:
        started = time.perf_counter()
        work(name, logits)
        return 1e3 * (time.perf_counter() - started)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work(name, logits)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def status(field):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field):
                return 1024 * int(line.split()[1])
    return 0


def numbered(name):
    """"cuda" as "cuda:0": torch.cuda.set_device takes no device without a number."""
    device = torch.device(name)
    return torch.device(device.type, 0) if name == "cuda" else device


def load(message):
    global labels
    shape = (message["rows"], message["classes"])
    device = numbered(message["device"])
    torch.set_num_threads(message["threads"])

    def read(path, dtype):
        found = torch.from_file(path, size=shape[0] * shape[1], dtype=torch.float32)
        # The file goes: on a CPU the numbers are copied.
        return found.clone().view(shape).to(device, dtype).requires_grad_()

    sources.clear()
    sources["float32"] = read(message["logits"], torch.float32)
    labels = torch.from_file(message["labels"], size=shape[0], dtype=torch.int32).long().to(device)
    names = ["torch clone"]
    failed = {}
    wanted = list(losses)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        sources["bfloat16"] = read(message["coarse"], torch.bfloat16)
        try:
            losses.update(liger())
            wanted = list(losses)
        except Exception as error:
            failed["liger"] = str(error).strip().splitlines()[0]
        names.append("torch clone, bfloat16")
        wanted += [name + ", bfloat16" for name in wanted]
    for name in wanted:
        try:
            plain = name.removesuffix(", bfloat16")
            if plain.endswith(" compiled"):
                losses[plain] = compiled(plain.removesuffix(" compiled").replace(" dece", " dece eager"))
            for _ in range(3):
                step(name, prepared(name))
            names.append(name)
        except Exception as error:  # such as a compiler that is not there
            failed[name] = str(error).strip().splitlines()[0]
    return {"providers": names, "failed": failed}


def gradient(message):
    logits = prepared(message["name"])
    step(message["name"], logits)
    rows = logits.grad[message["rows"]].float().contiguous().cpu().numpy()
    rows.tofile(message["path"])
    return {}


def memory(message):
    name = message["name"]
    logits = prepared(name)
    if logits.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(name, logits)
        return {"bytes": torch.cuda.max_memory_allocated() - before}
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS")
        step(name, logits)
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
        answer = {"ms": step(message["name"], prepared(message["name"]))}
    elif message["do"] == "gradient":
        answer = gradient(message)
    else:
        answer = memory(message)
    print(json.dumps(answer), flush=True)
