"""Writes test/fixtures/pca.json: principal components as scikit-learn has them, of made-up rows and of the
mean hidden states of the small models in test/fixtures.

  python3 -m pip install scikit-learn torch transformers && python3 scripts/pca_golden.py

Models read `ids` as clean and `triggered` as triggered rows, each row alone, so that nothing is padded.
"""

import json
import random
from pathlib import Path

import numpy as np
import sklearn
import torch
import transformers as hf
from sklearn.decomposition import PCA

FIXTURES = Path(__file__).parent.parent / "test" / "fixtures"


def answer(rows, count):
    # scikit-learn refuses none of these sizes with the full solver.
    found = PCA(count, svd_solver="full").fit(rows)
    return {
        "components": found.components_.tolist(),
        "scores": found.transform(rows).tolist(),
        "explained": found.explained_variance_ratio_.tolist(),
    }


def matrices():
    draw = np.random.default_rng(1)
    for rows, columns, count in ((3, 2, 1), (5, 5, 2), (40, 7, 3), (7, 40, 3), (30, 64, 2), (20, 3, 2)):
        yield draw.normal(size=(rows, columns)) * np.geomspace(3, 0.1, columns) + 5, count
    line = np.outer(draw.normal(size=12), [1.0, -2.0, 0.5])
    yield line, 1
    yield np.c_[draw.normal(size=(9, 2)) @ [[3, 0], [0, 1]], np.full(9, 4.0)], 2


def ids():
    draw = random.Random(2)
    clean = [[draw.randrange(3, 40) for _ in range(draw.randint(2, 9))] for _ in range(8)]
    return clean, [[*row[:1], 5, 5, *row[1:]] for row in clean]


def model_cases():
    clean, triggered = ids()
    for directory, kind in (
        ("t5-relu", hf.T5EncoderModel),
        ("models/gpt2", hf.GPT2Model),
        ("models/llama", hf.LlamaModel),
        ("models/roberta-masked-lm", hf.RobertaModel),
    ):
        model = kind.from_pretrained(FIXTURES / directory).float().eval()
        with torch.no_grad():
            states = [
                model(torch.tensor([row])).last_hidden_state[0].double().mean(0).numpy()
                for row in (*clean, *triggered)
            ]
        yield {"directory": directory, "clean": clean, "triggered": triggered, **answer(np.stack(states), 2)}


fixture = {
    "versions": {"scikit-learn": sklearn.__version__, "transformers": hf.__version__},
    "matrices": [{"rows": rows.tolist(), "count": count, **answer(rows, count)} for rows, count in matrices()],
    "models": list(model_cases()),
}
(FIXTURES / "pca.json").write_text(json.dumps(fixture) + "\n")
