"""Writes test/fixtures/pytorch_bin/: files of torch.save, sound and hostile.

    python3 scripts/pytorch_bin_golden.py test/fixtures

Needs torch and transformers.

  MODEL.bin      the state dict of fixtures/t5-relu or fixtures/models/MODEL as transformers' save_pretrained
                 wrote it before version 5: tied weights under all their names, and the buffers of old
                 checkpoints (masks, positions, frequencies)
  MODEL.old.bin  the same in the format before PyTorch 1.6
  *.hostile.bin  state dicts that run a command when Python's own reader loads them: each makes a file
                 `was-run` in the current folder, which is checked here
"""

import builtins
import json
import os
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
import transformers

MARK = "was-run"
# What versions of transformers before this one kept beside the weights; layers are counted by {}.
BUFFERS = {
    "gpt2": {
        "transformer.h.{}.attn.bias": torch.ones(64, 64, dtype=torch.uint8).tril()[None, None],
        "transformer.h.{}.attn.masked_bias": torch.tensor(-1e4),
    },
    "codegen": {"transformer.h.{}.attn.causal_mask": torch.ones(64, 64, dtype=torch.bool).tril()[None, None]},
    "llama-llama3": {"model.layers.{}.self_attn.rotary_emb.inv_freq": torch.ones(4)},
    "roberta-masked-lm": {"roberta.embeddings.position_ids": torch.arange(40)[None]},
}


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def state_dict(**more):
    return OrderedDict({"shared.weight": torch.zeros(2), **more})


class Loud(OrderedDict):
    """Is set up by a call, as BUILD does with what a class returns."""

    def __reduce__(self):
        return (Call(os.system, f"touch {MARK}").__reduce__())


HOSTILE = {
    "system": lambda: state_dict(extra=Call(os.system, f"touch {MARK}")),
    "eval": lambda: state_dict(extra=Call(builtins.eval, f"open('{MARK}', 'w')")),
    "popen": lambda: state_dict(extra=Call(subprocess.Popen, ("touch", MARK))),
    "key": lambda: OrderedDict({Call(builtins.exec, f"open('{MARK}', 'w')"): torch.zeros(2)}),
    "whole": lambda: Loud(),
}


def check(path):
    """Loads the file as its author hopes somebody will."""
    load = f"import torch; torch.load({str(path)!r}, weights_only=False)"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", load], cwd=folder, stderr=subprocess.DEVNULL)
        assert (Path(folder) / MARK).exists(), path


def load(directory):
    config = json.loads((directory / "config.json").read_text())
    return getattr(transformers, config["architectures"][0]).from_pretrained(directory)


def with_buffers(state, name):
    """As PyTorch had it: a state dict is an OrderedDict with `_metadata`, which torch.save keeps."""
    for key, value in BUFFERS.get(name, {}).items():
        for layer in range(2 if "{}" in key else 1):
            state[key.format(layer)] = value.clone()
    return state


def main(fixtures):
    folder = fixtures / "pytorch_bin"
    folder.mkdir(exist_ok=True)
    for directory in [fixtures / "t5-relu", *(fixtures / "models" / name for name in BUFFERS)]:
        name = directory.name
        torch.save(with_buffers(load(directory).state_dict(), name), folder / f"{name}.bin")
    old = {"_use_new_zipfile_serialization": False}
    torch.save(load(fixtures / "t5-relu").state_dict(), folder / "t5-relu.old.bin", **old)
    for name, make in [*HOSTILE.items(), ("old", HOSTILE["system"])]:
        path = folder / f"{name}.hostile.bin"
        torch.save(make(), path, **(old if name == "old" else {}))
        check(path.resolve())


main(Path(sys.argv[1]))
