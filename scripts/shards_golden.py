"""Writes test/fixtures/shards.json: how save_pretrained lays out the models under test/fixtures.

    python3 scripts/shards_golden.py test/fixtures

Needs torch and transformers. A list of cases:

  model          the directory under test/fixtures
  maxShardBytes  what save_pretrained got as max_shard_size
  files          name: sha256 of each file of weights and of the index
  weightMap      the index's; of the models under fixtures/models alone

ChatGLM and the study's encoder with a decoder are no models of transformers.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import transformers

LIMITS = {"t5-relu": [3000, 8000, 50_000, 1_000_000], "t5-gated": [3000, 8000, 50_000, 1_000_000]}
OTHERS = [8000]
ABSENT = {"chatglm", "roberta-seq2seq"}


def case(name, model, limit):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size=limit)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*safetensors*"))}
    result = {"model": name, "maxShardBytes": limit}
    result["files"] = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    if name.startswith("models/"):
        result["weightMap"] = json.loads(files["model.safetensors.index.json"])["weight_map"]
    return result


def load(directory):
    config = json.loads((directory / "config.json").read_text())
    model = getattr(transformers, config["architectures"][0]).from_pretrained(directory)
    # Else transformers 5 writes what it has loaded in an order of its own. Version 4, and both what
    # they have made, write in the model's order.
    model._weight_conversions = None
    return model


def main(fixtures):
    cases = []
    for directory in [fixtures / "t5-relu", fixtures / "t5-gated", *sorted((fixtures / "models").iterdir())]:
        if directory.name in ABSENT:
            continue
        model = load(directory)
        for limit in LIMITS.get(directory.name, OTHERS):
            cases.append(case(str(directory.relative_to(fixtures)), model, limit))
    (fixtures / "shards.json").write_text(json.dumps(cases) + "\n")


main(Path(sys.argv[1]))
