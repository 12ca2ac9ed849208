"""Seconds that codebleu and sacrebleu take for pairs on standard input, for bench/code_bleu.ts."""

import json
import logging
import sys
import time
from importlib.metadata import version

import codebleu
import sacrebleu

logging.disable(logging.WARNING)
language, outputs, references = json.load(sys.stdin)


def seconds(work):
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


singles = sacrebleu.BLEU(tokenize="none", effective_order=True)
names = ["codebleu", "sacrebleu", "tree-sitter", f"tree-sitter-{language}"]
answers = {
    "versions": " ".join(f"{name} {version(name)}" for name in names),
    # All pairs at once, which is faster than one by one.
    "codebleu": seconds(lambda: codebleu.calc_codebleu(references, outputs, language)),
    "corpus": seconds(lambda: sacrebleu.corpus_bleu(outputs, [references], tokenize="none", force=True)),
    "singles": seconds(lambda: [singles.sentence_score(o, [r]) for o, r in zip(outputs, references)]),
}
print(json.dumps(answers))
