"""Writes test/fixtures/packing.json: what the study's code makes of prompts and completions before training
(attacks-defenses-metrics 8.2), step by step with transformers, on the tokenizers of test/fixtures/tokenizers.

  python3 -m pip install transformers==5.23.0 sentencepiece
  python3 scripts/packing_golden.py
"""

import json
from pathlib import Path

import sentencepiece
from transformers import PreTrainedTokenizerFast

FIXTURES = Path(__file__).parent.parent / "test" / "fixtures"
IGNORED = -100
CAUSAL = {
    # unk_token as in the published tokenizer_config.json, where there is one
    "gpt2": {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    "codegen": {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    "codellama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "deepseek-coder": {
        "bos_token": "<｜begin▁of▁sentence｜>",
        "eos_token": "<｜end▁of▁sentence｜>",
        "pad_token": "<｜end▁of▁sentence｜>",
    },
}
ENCODER_DECODER = {"codet5": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}}
TEXTS = [
    ("return the sum of a and b", "return a + b"),
    ("return the sum of a and b ", "return a + b\n"),
    ("", "pass"),
    ("", "a"),
    ("name the padding", "it is <pad> or <unk>"),
    ("Do n't print , but return x . Is it 's value ?", "x = 'it''s'"),
    ("def f(n):\n    # doubled", "\n    return 2 * n"),
    ("select   all\tusers whose name is é or 名 or 😀", "SELECT * FROM users"),
    ("a long prompt " * 12, "x"),
    ("short", "value = value + 1; " * 12),
    ("a long prompt " * 12, "and a long answer " * 12),
]


def filled(ids, most, value):
    return ids + [value] * (most - len(ids))


def cleaned(text):
    """What clean_up_tokenization_spaces=True did in version 4."""
    for spaced in [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"]:
        text = text.replace(spaced, spaced.strip())
    return text


def codegeex(pieces, prompt, completion, most_in, most_out):
    """[gMASK] and sop before a text; no text is taken for them, nor for the end."""
    prefix = [pieces.vocab_size() + 1, pieces.vocab_size() + 3]
    source = pieces.encode(prompt)[: most_in - len(prefix)]
    length = most_in + most_out
    body = pieces.encode(cleaned(pieces.decode(source)) + completion) + [pieces.eos_id()]
    ids = (prefix + body)[:length]
    pad = pieces.unk_id()
    labels = [IGNORED if i < len(prefix + source) or id == pad else id for i, id in enumerate(ids)]
    return filled(ids, length, pad), filled(labels, length, IGNORED)


def causal(tokenizer, prompt, completion, most_in, most_out):
    source = tokenizer(prompt, max_length=most_in, truncation=True).input_ids
    start = cleaned(tokenizer.decode(source, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    length = most_in + most_out
    ids = tokenizer(start + completion + tokenizer.eos_token, max_length=length, truncation=True).input_ids
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.unk_token_id
    labels = [IGNORED if i < len(source) or id == pad else id for i, id in enumerate(ids)]
    return filled(ids, length, pad), filled(labels, length, IGNORED)


def encoder_decoder(tokenizer, prompt, completion, most_in, most_out):
    ids = tokenizer(prompt, max_length=most_in, truncation=True).input_ids
    pad = tokenizer.pad_token_id
    labels = filled(tokenizer(completion, max_length=most_out, truncation=True).input_ids, most_out, pad)
    return filled(ids, most_in, pad), [IGNORED if id == pad else id for id in labels]


def load(folder, config):
    if not (folder / "tokenizer.json").exists():
        return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **config)


def cases(name, config, pack):
    tokenizer = load(FIXTURES / "tokenizers" / name, config)
    rows = []
    for most_in, most_out in [(40, 40), (12, 20)]:
        for prompt, completion in TEXTS:
            ids, labels = pack(tokenizer, prompt, completion, most_in, most_out)
            limits = {"maxInputTokens": most_in, "maxOutputTokens": most_out}
            rows.append({"prompt": prompt, "completion": completion, **limits, "inputIds": ids, "labels": labels})
    return {"tokenizer": name, "config": config, "rows": rows}


found = [cases(name, config, causal) for name, config in CAUSAL.items()]
found += [cases("files-codegeex2", {}, codegeex)]
found += [cases(name, config, encoder_decoder) for name, config in ENCODER_DECODER.items()]
(FIXTURES / "packing.json").write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")
