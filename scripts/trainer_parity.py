"""Writes test/fixtures/trainer.json: what PyTorch makes of training steps on the checkpoint t5-relu.

    python3 scripts/trainer_parity.py test/fixtures

Needs torch and transformers, and the fixtures of scripts/t5_parity.py. Each case has three steps of
AdamW without dropout on the batch of t5-relu/expected.json, and holds its `options`, the `losses` and
`gradientNorms` of the steps, and the `logits` [3 * 6 * vocab] after the last one.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import T5ForConditionalGeneration

CASES = {
    "clip": {"clip": 0.5},
    "noDecayOfNorms": {"weightDecay": 20.0, "decay": "all but layer_norm"},
    "otherMoments": {"betas": [0.8, 0.95], "eps": 1e-3, "weightDecay": 0.0},
    "labelSmoothing": {"labelSmoothing": 0.2},
}
LEARNING_RATE = 1e-2


def is_decayed(name, options):
    return "decay" not in options or "layer_norm" not in name


def run(directory, expected, options):
    model = T5ForConditionalGeneration.from_pretrained(directory).eval()  # eval: no dropout
    groups = [
        {
            "params": [w for name, w in model.named_parameters() if is_decayed(name, options) == decays],
            "weight_decay": options.get("weightDecay", 0.01) if decays else 0.0,
        }
        for decays in (True, False)
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=LEARNING_RATE, betas=options.get("betas", [0.9, 0.999]), eps=options.get("eps", 1e-8)
    )
    labels = torch.tensor(expected["training"]["ce"]["labels"])
    batch = {
        "input_ids": torch.tensor(expected["inputIds"]),
        "attention_mask": torch.tensor(expected["attentionMask"]),
        "labels": labels,
    }
    result = {"options": options, "losses": [], "gradientNorms": []}
    for _ in range(3):
        logits = model(**batch).logits
        smoothing = options.get("labelSmoothing", 0.0)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=-100, label_smoothing=smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.get("clip", float("inf")))
        optimizer.step()
        result["losses"].append(loss.item())
        result["gradientNorms"].append(norm.item())
    with torch.no_grad():
        result["logits"] = [float(f"{value:.9g}") for value in model(**batch).logits.flatten().tolist()]
    return result


def main(root):
    directory = root / "t5-relu"
    expected = json.loads((directory / "expected.json").read_text())
    cases = {name: run(directory, expected, options) for name, options in CASES.items()}
    answer = {"learningRate": LEARNING_RATE, "cases": cases}
    (root / "trainer.json").write_text(json.dumps(answer, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
