"""Writes test/fixtures/word_gradient.json: gradients with respect to one-hot inputs of t5-gated.

    python3 scripts/word_gradient_golden.py test/fixtures

Needs torch and transformers, and the fixtures of scripts/t5_parity.py. The batch is one row of 10 ids in
which each of `ids` stands two times; `gradient` [ids, vocab] is that of the mean cross-entropy of
`labels` with respect to the one-hot input, summed over the places of an id.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import T5ForConditionalGeneration

INPUT = [30, 5, 31, 7, 30, 9, 11, 31, 2, 1]
LABELS = [12, 14, 6, -100, 20, 1]
IDS = [30, 31]


def main(directory):
    model = T5ForConditionalGeneration.from_pretrained(directory / "t5-gated").eval()
    embedding = model.shared.weight.detach()
    one_hot = torch.nn.functional.one_hot(torch.tensor([INPUT]), len(embedding)).float().requires_grad_()
    labels = torch.tensor([LABELS])
    loss = model(inputs_embeds=one_hot @ embedding, labels=labels).loss
    (gradient,) = torch.autograd.grad(loss, one_hot)
    rows = [gradient[0, [i for i, token in enumerate(INPUT) if token == id]].sum(0) for id in IDS]
    result = {
        "inputIds": [INPUT],
        "labels": [LABELS],
        "ids": IDS,
        "loss": loss.item(),
        "gradient": torch.stack(rows).flatten().tolist(),
    }
    (directory / "word_gradient.json").write_text(json.dumps(result) + "\n")


main(Path(sys.argv[1]))
