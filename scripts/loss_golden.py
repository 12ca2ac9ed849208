"""Answers of PyTorch that test/loss_golden.test.ts holds the kernels to.

    python3 scripts/loss_golden.py > test/fixtures/loss_golden.json

`formulas`: the losses of the authors' code (mode "reference"), written from its description in
float64, with gradients by automatic differentiation. `specials`: F.cross_entropy on rows with NaN
and infinities, in float32. `weighted`: F.cross_entropy with a weight for each class, in float64.
Numbers that JSON lacks are strings.
"""

import json
import math

import torch
import torch.nn.functional as F

LEAST = 1e-7


def off_target(labels, classes, smoothing):
    """One-hot labels whose smoothing goes to the other classes only."""
    onehot = F.one_hot(labels, classes).double()
    return onehot * (1 - smoothing) + (1 - onehot) * smoothing / (classes - 1)


def dece(logits, labels, epoch, alphaBase, labelSmoothing):
    alpha = alphaBase**epoch
    smoothed = off_target(labels, logits.shape[1], labelSmoothing)
    p = logits.softmax(1).clamp(min=LEAST, max=1)
    blend = alpha * p + (1 - alpha) * smoothed
    # Where a label is 0 its term is 0, not 0 * log 0.
    return -torch.where(smoothed > 0, smoothed * blend.log(), 0).sum(1)


def ce(logits, labels, labelSmoothing):
    return -(off_target(labels, logits.shape[1], labelSmoothing) * logits.log_softmax(1)).sum(1)


def gce(logits, labels, q):
    p = logits.softmax(1).clamp(min=LEAST, max=1)
    return (1 - p.gather(1, labels[:, None])[:, 0] ** q) / q


def in_trust(logits, labels, alpha, beta, delta):
    p = logits.softmax(1).clamp(min=LEAST, max=1)
    raised = F.one_hot(labels, logits.shape[1]).double().clamp(min=1e-4)
    distrust = -(p * (delta * p + (1 - delta) * raised).log()).sum(1)
    return alpha * F.cross_entropy(logits, labels, reduction="none") + beta * distrust


CASES = [
    ("dece", dece, {"epoch": 1, "alphaBase": 0.8, "labelSmoothing": 0.05}),
    ("dece", dece, {"epoch": 4, "alphaBase": 0.985, "labelSmoothing": 0.1}),
    ("dece", dece, {"epoch": 0, "alphaBase": 0.99, "labelSmoothing": 0.1}),
    ("dece", dece, {"epoch": 3, "alphaBase": 0.9, "labelSmoothing": 0}),
    ("ce", ce, {"labelSmoothing": 0.1}),
    ("gce", gce, {"q": 0.7}),
    ("gce", gce, {"q": 1}),
    ("in-trust", in_trust, {"alpha": 0.2, "beta": 0.8, "delta": 0.5}),
    ("in-trust", in_trust, {"alpha": 1, "beta": 0.8, "delta": 0.3}),
]


def formulas():
    generator = torch.Generator().manual_seed(1)
    for name, loss, options in CASES:
        for classes, spread in ((2, 1), (7, 3), (19, 8)):
            rows = 4
            logits = torch.randn(rows, classes, generator=generator) * spread
            labels = torch.randint(classes, (rows,), generator=generator)
            exact = logits.double().requires_grad_()
            losses = loss(exact, labels, **options)
            losses.sum().backward()
            yield {
                "name": name,
                "options": options,
                "logits": plain(logits),
                "labels": labels.tolist(),
                "losses": plain(losses.detach()),
                "gradient": plain(exact.grad),
            }


def specials():
    nan, inf = math.nan, math.inf
    rows = [
        ("a NaN", [0.0, nan, 1.0, 2.0], 0),
        ("a NaN at the label", [nan, 0.0, 1.0, 2.0], 0),
        ("+infinity", [0.0, inf, 1.0, 2.0], 0),
        ("+infinity at the label", [inf, 0.0, 1.0, 2.0], 0),
        ("-infinity", [0.0, -inf, 1.0, 2.0], 0),
        ("-infinity at the label", [-inf, 0.0, 1.0, 2.0], 0),
        ("nothing but -infinity", [-inf, -inf, -inf, -inf], 0),
        ("huge logits", [3e38, -3e38, 0.0, 1.0], 0),
        ("an offset", [10000.0, 10001.0, 9999.5, 10000.25], 2),
    ]
    for what, row, label in rows:
        for smoothing in (0, 0.1):
            logits = torch.tensor([row], requires_grad=True)
            loss = F.cross_entropy(logits, torch.tensor([label]), label_smoothing=smoothing)
            loss.backward()
            yield {
                "what": what,
                "labelSmoothing": smoothing,
                "logits": plain(logits.detach()[0]),
                "label": label,
                "loss": plain(loss.detach()),
                "gradient": plain(logits.grad[0]),
            }


def weighted():
    generator = torch.Generator().manual_seed(2)
    for reduction in ("mean", "sum"):
        for ignored in (False, True):
            logits = torch.randn(6, 5, generator=generator) * 3
            labels = torch.randint(5, (6,), generator=generator)
            if ignored:
                labels[[1, 4]] = -100
            # What float32 holds exactly; a class may have no weight.
            weight = torch.tensor([0, 0.25, 1, 1.5, 3], dtype=torch.double)
            exact = logits.double().requires_grad_()
            losses = F.cross_entropy(exact, labels, weight=weight, reduction="none")
            loss = F.cross_entropy(exact, labels, weight=weight, reduction=reduction)
            loss.backward()
            yield {
                "reduction": reduction,
                "logits": plain(logits),
                "labels": labels.tolist(),
                "weight": plain(weight),
                "loss": plain(loss.detach()),
                "losses": plain(losses.detach()),
                "gradient": plain(exact.grad),
            }


def plain(tensor):
    return [number(value) for value in tensor.flatten().tolist()] if tensor.dim() else number(tensor.item())


def number(value):
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


answers = {
    "torch": torch.__version__,
    "formulas": list(formulas()),
    "specials": list(specials()),
    "weighted": list(weighted()),
}
print(json.dumps(answers))
