"""Writes test/fixtures/pytorch_bin/: files of torch.save, sound and hostile.

    python3 scripts/pytorch_bin_golden.py test/fixtures

Needs torch and transformers.

  t5-relu.bin    the state dict of fixtures/t5-relu, tied weights under all their names
  legacy.bin     a state dict in the format before PyTorch 1.6
  *.hostile.bin  state dicts that run a command when Python's own reader loads them: each makes a file
                 `was-run` in the current folder, which is checked here
"""

import builtins
import os
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
from transformers import T5ForConditionalGeneration

MARK = "was-run"


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


def main(fixtures):
    folder = fixtures / "pytorch_bin"
    folder.mkdir(exist_ok=True)
    model = T5ForConditionalGeneration.from_pretrained(fixtures / "t5-relu")
    torch.save(model.state_dict(), folder / "t5-relu.bin")
    torch.save(state_dict(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
    for name, make in HOSTILE.items():
        path = folder / f"{name}.hostile.bin"
        torch.save(make(), path)
        check(path.resolve())


main(Path(sys.argv[1]))
