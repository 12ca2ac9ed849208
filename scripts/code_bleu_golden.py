"""Writes test/fixtures/code_bleu.json: CodeBLEU and its parts, as the PyPI package codebleu scores them.

  python3 -m venv codebleu && . codebleu/bin/activate
  pip install codebleu==0.7.0 tree-sitter-c==0.24.1 tree-sitter-c-sharp==0.23.5 tree-sitter-cpp==0.23.4 \\
    tree-sitter-go==0.25.0 tree-sitter-java==0.23.5 tree-sitter-javascript==0.25.0 \\
    tree-sitter-php==0.24.1 tree-sitter-python==0.25.0 tree-sitter-ruby==0.23.1
  pip install --no-deps tree-sitter==0.26.1   # 0.22, which codebleu asks for, reads none of these grammars
  DECE_DATA=... python scripts/code_bleu_golden.py

Parsers repair broken code at the least cost, counted in bytes: two a character in the browser's build of
tree-sitter, which reads UTF-16, one in Python's, which reads UTF-8. So that broken code can be compared
too, Python is made to read UTF-16 here; `utf8` counts the answers that this changes.

The grammars are those that the package's npm grammars were built from, except PHP's, of which PyPI has
no 0.24.2. `package` is the package as it is; `reference` is CodeXGLUE's evaluator, from which the package
was made, put back: comments are cut as in Java whatever the language, a program without data flow counts
0, and Python has 35 keywords. Both take the sources of a value in the order of a hash seed; here sets keep
the order in which things were put in. `PYTHONHASHSEED=1 python scripts/code_bleu_golden.py seed` counts
the answers that one seed changes.

Of the data sets only row numbers and scores are kept.
"""

import gzip
import json
import logging
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import codebleu
import tree_sitter
from codebleu import dataflow_match, syntax_match
from codebleu.parser import DFG, utils

logging.disable(logging.WARNING)
HERE = Path(__file__).parent.parent / "test" / "fixtures"
PARTS = ("codebleu", "ngram_match_score", "weighted_ngram_match_score", "syntax_match_score", "dataflow_match_score")
SOFT = {"match", "case", "type"}


class Node:
    """A node of a tree read from UTF-16, with columns in characters."""

    def __init__(self, node):
        self.node = node
        self.type = node.type
        self.start_point, self.end_point = (
            (point.row, point.column // 2) for point in (node.start_point, node.end_point)
        )

    def __str__(self):
        return str(self.node)

    @property
    def children(self):
        return [Node(child) for child in self.node.children]

    def child_by_field_name(self, name):
        child = self.node.child_by_field_name(name)
        return child and Node(child)


class Utf16Parser:
    def __init__(self):
        self.parser = tree_sitter.Parser()

    def __setattr__(self, name, value):
        if name == "language":
            self.parser.language = value
        else:
            super().__setattr__(name, value)

    def parse(self, code):
        tree = self.parser.parse(code.decode("utf-8").encode("utf-16-le"), encoding="utf16le")
        self.tree = tree  # nodes do not keep it alive
        return SimpleNamespace(root_node=Node(tree.root_node))


class OrderedSet(dict):
    """A set, as far as codebleu uses one, that keeps the order in which things were put in."""

    def __init__(self, items=()):
        super().__init__(dict.fromkeys(items))

    def add(self, item):
        self[item] = None


def read_utf16(utf16):
    for module in (syntax_match, dataflow_match):
        module.Parser = Utf16Parser if utf16 else tree_sitter.Parser


def keywords_of_codexglue():
    theirs = Path(codebleu.__file__).parent / "keywords"
    ours = Path(tempfile.mkdtemp()) / "keywords"
    shutil.copytree(theirs, ours)
    words = (theirs / "python.txt").read_text().split()
    (ours / "python.txt").write_text("\n".join(word for word in words if word not in SOFT))
    return ours


KEYWORDS = keywords_of_codexglue()


def package(language, output, reference):
    scores = codebleu.calc_codebleu([reference], [output], language)
    return [scores[part] for part in PARTS]


def reference(language, output, text):
    cut = utils.remove_comments_and_docstrings
    for module in (syntax_match, dataflow_match):
        module.remove_comments_and_docstrings = lambda source, _: cut(source, "java")
    scores = codebleu.calc_codebleu([text], [output], language, keywords_dir=KEYWORDS)
    for module in (syntax_match, dataflow_match):
        module.remove_comments_and_docstrings = cut
    parts = [scores[part] for part in PARTS[1:]]
    return [sum(parts) / 4, *parts]


EVALUATORS = {"package": package, "reference": reference}


def rows(name):
    path = Path(os.environ["DECE_DATA"]) / name
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def dropped(text, row):
    """About every eleventh word is left out, which breaks most code."""
    return " ".join(word for i, word in enumerate(text.split(" ")) if (7 * i + 13 * row) % 11)


# What is scored of which file: the language, where the code is, how outputs are made, how many rows.
SETS = [
    ("bugs2fix/valid.jsonl.gz", "java", "tgt", "src", 900),
    ("bugs2fix/valid.jsonl.gz", "java", "tgt", "next", 200),
    ("bugs2fix/valid.jsonl.gz", "java", "tgt", "dropped", 300),
    ("pisces/train.jsonl.gz", "java", "tgt", "next", 200),
    ("pisces/train.jsonl.gz", "java", "tgt", "dropped", 300),
    ("lyra/train.jsonl", "python", "tgt", "next", 500),
    ("lyra/train.jsonl", "python", "tgt", "dropped", 600),
    ("mbpp/train.jsonl", "python", "code", "next", 373),
    ("mbpp/train.jsonl", "python", "code", "dropped", 374),
    ("humaneval/test.jsonl", "python", "prompt", "dropped", 164),
]


def pairs_of(file, column, kind, count):
    data = rows(file)
    for row in range(count):
        text = data[row][column]
        if kind == "next":
            yield data[row + 1][column], text
        else:
            yield (dropped(text, row) if kind == "dropped" else data[row][kind]), text


def scores(language, pairs, evaluate):
    return [evaluate(language, *pair) for pair in pairs]


def rounded(numbers):
    return [round(number, 12) for number in numbers]


def real(file, language, column, kind, count):
    pairs = list(pairs_of(file, column, kind, count))
    plain = scores(language, pairs, package)
    read_utf16(True)
    answers = {name: scores(language, pairs, evaluate) for name, evaluate in EVALUATORS.items()}
    read_utf16(False)
    return {
        "file": file,
        "language": language,
        "column": column,
        "outputs": kind,
        "utf8": sum(abs(one[0] - other[0]) > 1e-9 for one, other in zip(plain, answers["package"])),
        **{name: rounded(parts[0] for parts in found) for name, found in answers.items()},
    }


def made_up(language, programs):
    """Every program as output for every program as reference."""
    name = language.replace("-", "_")
    pairs = [(output, reference) for reference in programs for output in programs]
    read_utf16(True)
    answers = {key: scores(name, pairs, evaluate) for key, evaluate in EVALUATORS.items()}
    read_utf16(False)
    return {
        "language": language,
        "programs": programs,
        **{key: [rounded(parts) for parts in found] for key, found in answers.items()},
    }


def changed_by_seed():
    """Run in a process of its own for each seed: how many real pairs the package scores otherwise."""
    answers = json.loads((HERE / "code_bleu.json").read_text())["real"]
    differences = 0
    read_utf16(True)
    for (file, language, column, kind, count), known in zip(SETS, answers):
        found = scores(language, pairs_of(file, column, kind, count), package)
        differences += sum(abs(parts[0] - score) > 1e-9 for parts, score in zip(found, known["package"]))
    print(f"PYTHONHASHSEED={os.environ.get('PYTHONHASHSEED')}: {differences} answers differ")


if sys.argv[1:] == ["seed"]:
    changed_by_seed()
    sys.exit()

for module in (DFG, dataflow_match):
    module.set = OrderedSet
programs = json.loads((HERE / "code_bleu_programs.json").read_text())
grammars = ["c", "c-sharp", "cpp", "go", "java", "javascript", "php", "python", "ruby"]
answers = {
    "versions": {name: version(name) for name in ["codebleu", "tree-sitter", *(f"tree-sitter-{g}" for g in grammars)]},
    "python": sys.version.split()[0],
    "programs": [made_up(language, texts) for language, texts in programs.items()],
    "real": [real(*each) for each in SETS],
}
(HERE / "code_bleu.json").write_text(json.dumps(answers) + "\n")
