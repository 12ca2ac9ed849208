"""Writes test/fixtures/shards.json: how save_pretrained lays out the models of scripts/t5_parity.py.

    python3 scripts/shards_golden.py test/fixtures

Needs torch and transformers. A list of cases:

  model          the directory under test/fixtures
  maxShardBytes  what save_pretrained got as max_shard_size
  files          name: sha256 of each file of weights and of the index
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from transformers import T5ForConditionalGeneration

LIMITS = [3000, 8000, 50_000, 1_000_000]


def files(model, limit):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size=limit)
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).iterdir())
            if "safetensors" in path.name
        }


def main(fixtures):
    cases = []
    for name in ["t5-relu", "t5-gated"]:
        model = T5ForConditionalGeneration.from_pretrained(fixtures / name)
        # Else transformers 5 writes what it has loaded in an order of its own. Version 4, and both
        # what they have made, write in the model's order.
        model._weight_conversions = None
        for limit in LIMITS:
            cases.append({"model": name, "maxShardBytes": limit, "files": files(model, limit)})
    (fixtures / "shards.json").write_text(json.dumps(cases) + "\n")


main(Path(sys.argv[1]))
