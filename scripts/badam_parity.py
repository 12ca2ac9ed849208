"""Writes test/fixtures/badam.json: what PyTorch makes of BAdam on the checkpoint models/llama.

    python3 scripts/badam_parity.py test/fixtures

Needs torch and transformers, and the fixtures of scripts/architectures_parity.py. Written by the
description of Luo et al., 2024 (https://arxiv.org/abs/2404.02827) and of their code's schedule: AdamW on
one block at a time, made anew when its turn comes; a turn ends after the step g for which g + 1 is a
multiple of the steps of a turn; no weight decay for names with `bias`. Each case has twelve steps
without dropout on the batch `right` of models/llama/expected.json, and holds its `options`, the `blocks`
of each step by the begin of their names, `losses`, `gradientNorms` over the block, and the `logits`
[3 * 9 * vocabulary] after the last step.
"""

import json
import sys
from pathlib import Path

import torch
from t5_parity import numbers
from transformers import LlamaForCausalLM

STEPS = 12
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 0.1
LAYERS = [["model.layers.0."], ["model.layers.1."]]
EMBEDDING = ["model.embed_tokens."]
REST = ["model.norm.", "lm_head."]
CASES = {
    "descending": ({"switchBlockEvery": 4, "switchMode": "descending"}, LAYERS[::-1], []),
    "all": (
        {"switchBlockEvery": 3, "switchMode": "ascending", "includeEmbedding": True, "includeHead": True},
        [EMBEDDING, *LAYERS, REST],
        [],
    ),
    "always": (
        {"switchBlockEvery": 4, "switchMode": "ascending", "activeModules": ["lm_head"]},
        LAYERS,
        ["lm_head."],
    ),
    "fixed": ({"switchBlockEvery": 5, "switchMode": "fixed", "startBlock": 1}, LAYERS[1:], []),
}


def loss_of(model, batch):
    logits = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    labels = batch["labels"][:, 1:].reshape(-1)
    return torch.nn.functional.cross_entropy(logits[:, :-1].reshape(len(labels), -1), labels, ignore_index=-100)


def activate(model, begins):
    """Leaves gradients on for one block, and makes its optimizer."""
    groups = [{"params": [], "weight_decay": WEIGHT_DECAY}, {"params": [], "weight_decay": 0.0}]
    for name, weight in model.named_parameters():
        weight.requires_grad_(any(name.startswith(begin) for begin in begins))
        if weight.requires_grad:
            groups["bias" in name]["params"].append(weight)
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=LEARNING_RATE, eps=1e-8)


def run(directory, batch, options, order, always):
    model = LlamaForCausalLM.from_pretrained(directory).eval()
    result = {"options": options, "blocks": [], "losses": [], "gradientNorms": []}
    place = 0
    optimizer = activate(model, order[0] + always)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        norms = [w.grad.norm() for w in model.parameters() if w.requires_grad]
        optimizer.step()
        result["blocks"].append(order[place])
        result["losses"].append(loss.item())
        result["gradientNorms"].append(torch.linalg.vector_norm(torch.stack(norms)).item())
        if (step + 1) % options["switchBlockEvery"] == 0:
            place = (place + 1) % len(order)
            optimizer = activate(model, order[place] + always)
    with torch.no_grad():
        result["logits"] = numbers(model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits)
    return result


def main(root):
    directory = root / "models" / "llama"
    expected = json.loads((directory / "expected.json").read_text())
    batch = {
        "ids": torch.tensor(expected["right"]["inputIds"]),
        "mask": torch.tensor(expected["right"]["attentionMask"]),
        "labels": torch.tensor(expected["labels"]),
    }
    cases = {name: run(directory, batch, *case) for name, case in CASES.items()}
    answer = {"learningRate": LEARNING_RATE, "weightDecay": WEIGHT_DECAY, "cases": cases}
    (root / "badam.json").write_text(json.dumps(answer, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
