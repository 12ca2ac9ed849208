"""Writes test/fixtures/bleu.json: text pairs with their BLEU.

  python3 -m pip install sacrebleu && python3 scripts/bleu_golden.py

`corpus` is sacrebleu's score over all pairs; `floor` the same where a run without a match counts as
0.1 matches. `mean` is the mean of single scores, in exact fractions up to the logarithm.
"""

import json
import math
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path

import sacrebleu

WORDS = "def get_users ( conn , name ) : return execute select * from t where id = 1 größe 名前 🙂 İ".split()


def changed(words, draw):
    words = list(words)
    for _ in range(draw.randint(0, 4)):
        at = draw.randint(0, len(words))
        words[at : at + draw.randint(0, 2)] = [draw.choice(WORDS)] * draw.randint(0, 2)
    return words


def corpus(seed, count, shortest, longest):
    draw = random.Random(seed)
    spaces = [" ", "  ", "\t", " \n", "\u3000", "\x85", "\x1f"]
    pairs = []
    for _ in range(count):
        reference = [draw.choice(WORDS) for _ in range(draw.randint(shortest, longest))]
        output = changed(reference, draw)
        pairs.append(tuple("".join(w + draw.choice(spaces) for w in side) for side in (output, reference)))
    return pairs


def single(output, reference):
    h, r = output.split(), reference.split()
    logs = []
    for n in range(1, 5):
        runs, others = (Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1)) for s in (h, r))
        matches = sum((runs & others).values())
        if n == 1 and matches == 0:
            return 0.0
        share = Fraction(matches) or Fraction(1, 10)
        logs.append(math.log(share / max(1, runs.total())))
    shortness = 0 if len(h) > len(r) else 1 - Fraction(len(r), len(h))
    return math.exp(float(shortness) + math.fsum(logs) / 4)


def scored(name, pairs):
    outputs, references = ([pair[i] for pair in pairs] for i in (0, 1))

    def score(**smoothing):
        bleu = sacrebleu.corpus_bleu(outputs, [references], tokenize="none", force=True, **smoothing)
        return bleu.score / 100

    return {
        "name": name,
        "outputs": outputs,
        "references": references,
        "corpus": score(smooth_method="none"),
        "floor": score(smooth_method="floor", smooth_value=0.1),
        "mean": math.fsum(single(*pair) for pair in pairs) / len(pairs),
    }


corpora = [
    scored("long texts", corpus(1, 40, 20, 60)),
    scored("short and empty texts", corpus(2, 60, 0, 8)),
    scored("no run of four in common", [("a b c x d e f", "a b c y d e f"), ("g h", "g h i j k")]),
    scored("outputs that are too long", [("a b c d e f g h", "a b c d"), ("a a a a a", "a a")]),
    scored("nothing in common", [("a b c d", "e f g h")]),
]
path = Path(__file__).parent.parent / "test" / "fixtures" / "bleu.json"
answers = {"sacrebleu": sacrebleu.__version__, "corpora": corpora}
path.write_text(json.dumps(answers, indent=1, ensure_ascii=True) + "\n")
