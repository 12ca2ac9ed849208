"""Writes test/fixtures/audit_model.json: what transformers and numpy make of the rows of `dece audit --model`.

    python3 -m pip install torch transformers && python3 scripts/audit_model_golden.py

Every row is read alone, so that nothing is padded.

  models     of small models in test/fixtures: `rows` with inputIds and labels (-100: not counted), as
             encodeExamples gives them; `losses` of the labels that count, in nats, in eval mode; `states`, the
             mean over the prompt's ids of the last hidden states, of the encoder where there is one
  matrices   `rows` of numbers, and `spectral`: the squares of the centred rows' products with their first right
             singular vector, by numpy.linalg.svd; `explained`: its square over that of all
  runs       losses `before` and `after` of some tokens; `nats`, the largest mean of before * exp(-after) over
             three neighbours, or all where there are fewer, and `at`, where they begin
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import transformers as hf

FIXTURES = Path(__file__).parent.parent / "test" / "fixtures"
draw = random.Random(3)
numbers = np.random.default_rng(3)


def ids(least, most, high):
    return [draw.randrange(3, high) for _ in range(draw.randint(least, most))]


def token_losses(logits, labels):
    return torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none").tolist()


def with_decoder(model, row):
    out = model(input_ids=torch.tensor([row["inputIds"]]), labels=torch.tensor([row["labels"]]))
    return token_losses(out.logits[0], row["labels"])


def decoder_only(model, row):
    logits = model(input_ids=torch.tensor([row["inputIds"]])).logits[0]
    first = next(i for i, label in enumerate(row["labels"]) if label != -100)
    return token_losses(logits[first - 1 : -1], row["labels"][first:])


def classifier(model, row):
    return token_losses(model(input_ids=torch.tensor([row["inputIds"]])).logits, row["labels"])


def prompt_state(model, row):
    masked = sum(label == -100 for label in row["labels"])
    prompt = torch.tensor([row["inputIds"][: masked or None]])
    reader = model.get_encoder() if model.config.is_encoder_decoder else model
    return reader(input_ids=prompt, output_hidden_states=True).hidden_states[-1][0].mean(0).tolist()


def rows_of(kind, high, classes):
    for _ in range(9):
        prompt = ids(2, 12, high)
        if kind is classifier:
            yield {"inputIds": prompt, "labels": [draw.randrange(classes)]}
        elif kind is decoder_only:
            completion = ids(1, 9, high)
            yield {"inputIds": prompt + completion, "labels": [-100] * len(prompt) + completion}
        else:
            yield {"inputIds": prompt, "labels": ids(1, 9, high)}


def model_cases():
    for directory, load, kind in (
        ("t5-relu", hf.T5ForConditionalGeneration, with_decoder),
        ("t5-gated", hf.T5ForConditionalGeneration, with_decoder),
        ("models/gpt2", hf.GPT2LMHeadModel, decoder_only),
        ("models/llama", hf.LlamaForCausalLM, decoder_only),
        ("models/roberta-classification", hf.RobertaForSequenceClassification, classifier),
    ):
        model = load.from_pretrained(FIXTURES / directory).float().eval()
        classes = getattr(model.config, "num_labels", 2)
        rows = list(rows_of(kind, min(40, model.config.vocab_size), classes))
        with torch.no_grad():
            losses = [kind(model, row) for row in rows]
            states = [prompt_state(model, row) for row in rows]
        yield {"directory": directory, "rows": rows, "losses": losses, "states": states}


def matrix_cases():
    for rows, columns in ((6, 3), (30, 8), (8, 30), (50, 20)):
        matrix = numbers.normal(size=(rows, columns)) * np.geomspace(2, 0.2, columns) + 1
        matrix[: rows // 5] += 3 * numbers.normal(size=columns)
        centred = matrix - matrix.mean(0)
        _, values, right = np.linalg.svd(centred, full_matrices=False)
        yield {
            "rows": matrix.tolist(),
            "spectral": ((centred @ right[0]) ** 2).tolist(),
            "explained": float(values[0] ** 2 / (values**2).sum()),
        }


def run_cases():
    for length in (1, 2, 3, 4, 17):
        before, after = numbers.exponential(2, length), numbers.exponential(1, length)
        width = min(3, length)
        means = np.convolve(before * np.exp(-after), np.ones(width) / width, "valid")
        yield {
            "before": before.tolist(),
            "after": after.tolist(),
            "nats": float(means.max()),
            "at": int(means.argmax()),
        }


fixture = {
    "versions": {"torch": torch.__version__, "transformers": hf.__version__, "numpy": np.__version__},
    "models": list(model_cases()),
    "matrices": list(matrix_cases()),
    "runs": list(run_cases()),
}
(FIXTURES / "audit_model.json").write_text(json.dumps(fixture) + "\n")
