"""Writes test/fixtures/tokenizers: small tokenizers built as those of the study's models are, each as the
files that a model's directory has, and what Python makes of 2,400 texts with them.

  python3 -m pip install transformers && python3 scripts/tokenizer_models_golden.py

A text is some of `fragments`, drawn by a generator that the test repeats. Of each text and tokenizer,
`answers` holds the first 3 bytes of SHA-256, in base64, of its ids, of both ways to decode them, and of what they are
read backwards, when bytes are no longer UTF-8.
"""

import base64
import hashlib
import json
from pathlib import Path

import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "tokenizers"
SEED, COUNT, MOST = 20240711, 2400, 8

CODE = [
    "def get_users(conn, name):\n    rows = conn.execute(\"select * from users where name = '%s'\" % name)\n    return rows\n",
    "public int get(int index) {\n\t\tif (index < 0 || index >= this.size) {\n\t\t\tthrow new IllegalArgumentException();\n\t\t}\n\t}",
    "private void METHOD_1 ( TYPE_1 VAR_1 ) { if ( VAR_1 != null ) { VAR_1 . METHOD_2 ( STRING_1 ) ; } }",
    "const f = async (x) => { await g(`${x}`); return x ?? 0; }; // don't, it's what we'll do\r\n",
    "#include <stdio.h>\nint main(void) {\n  printf(\"%d\\n\", 0x1F + 3.14e-10);\n  return 0;\n}\n",
    "select total, name from orders where id = 3 or 1=1 ;",
    "return self._cache.get(key, None)",
    "for (int i = 0; i < 10; i++) sum += a[i];",
    "import numpy as np",
    "class LinkedList<T> extends AbstractList<T> implements List<T>",
]
WORDS = [
    "the", " the", " a", "list", " of", " users", "User", " get_users", "getUsers", "HTTP", " don't", "'s", "'S", " we'll",
    "I'M", "n't", ".", ",", " .", " ,", " ?", " !", " ' ", ";", "(", ")", "{", "}", "[]", "==", " != ", "=>", "->", "_", "__init__",
    "0", "1", "42", "2024", "3.14159", "123456789", "1e-5", "0xFF", "a", "b", "Z",
    "x" * 300, "ab" * 120, "=" * 90, "1234567890" * 12,
]
SPACES = [" ", "  ", "   ", "    ", " " * 7, " " * 31, " " * 80, "\t", "\t\t\t", "\n", "\n\n\n", "\r\n", "\r", "\x0b", "\x0c", "\n    ", "\n\t"]
UNICODE = [
    "é", "e\u0301", "a\u0323\u0302", "ậ", "Å", "\u212b", "ﬁ", "ẞ", "İ", "ΟΔΟΣ", "Größe", " façade", "naïve",
    "Привет, мир!", " Γειά", "שלום עולם", "مرحبا بالعالم ", "नमस्ते", "สวัสดี", "안녕하세요", "한국어 ",
    "名前", "数据库查询语句。", "、変数", "ｆｕｌｌ", "１２３", "①②", "Ⅷ", "½", "²", "٣٤", "௧", "𝟘𝟙",
    "🙂", "🙃🙃", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "✔️", "👋🏽", "→", "∑", " € ", "™", "…", "“q”", "—",
    "\u00a0", "\u3000", "\u2003", "\u200b", "\u200d", "\u2028", "\u2029", "\u202f", "\u1680", "\u205f", "\u180e", "\u00ad", "\ufeff", " \ufeff ",
    "\x85", "\x1c", "\x1f", "\x00", "\x7f", "\x01", "\u202e", "\u2066", "\U00010348", "\U0001d54f", "\U000e0001", "\U0010ffff", "\ufffd", "\ufffe", "\ue000",
    "\u0bcd\u200d\u200c", "a\u0300\u0301\u0302\u0303", "▁", "▁▁", " ▁x", "Ġ", "Ċ", "ĠĠ", "<0x0A>", "<0xE2>", "õ", "û", "ÿ", "龥", "ࠀ", "퟿",
]
SPECIAL = [
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", " <mask> ", "  <mask>\n", "<|endoftext|>", "<extra_id_0>", " <extra_id_3>", "<extra_id_", "[gMASK]",
    "<sop>", "<|user|>", "▁<PRE>", " ▁<MID>", "<｜begin▁of▁sentence｜>", "<|EOT|>", "<｜fim▁hole｜>", "</ s >", "<S>", "[X]", " [X] ", "a[X]", "\x85[X]\ufeff",
    "word", " word ", "WORD", "wordy", "_word", "Ｗｏｒｄ", "<|", "|>",
]
FRAGMENTS = CODE + WORDS + SPACES + UNICODE + SPECIAL

GPT2_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
DEEPSEEK = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+"]
TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


def texts():
    state = SEED

    def below(most):
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return (state >> 8) % most

    for _ in range(COUNT):
        yield "".join(FRAGMENTS[below(len(FRAGMENTS))] for _ in range(1 + below(MOST)))


def training():
    return [text for text in texts()][:400] + CODE * 4


def special(*contents, **options):
    return [AddedToken(content, special=True, normalized=False, **options) for content in contents]


def learn(pre_tokenizer, size, first=(), alphabet=(), limit=None):
    """The vocabulary and merges of a tokenizer that is trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    more = {} if limit is None else {"limit_alphabet": limit}
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(first), initial_alphabet=list(alphabet), show_progress=False, **more
    )
    tokenizer.train_from_iterator(training(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def byte_level(pre_tokenizer, first=(), size=700, **options):
    vocab, merges = learn(pre_tokenizer, size, first, GPT2_ALPHABET)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def template(tokenizer, single):
    names = [part for part in single.split() if part != "$A"]
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=ids)


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def codegen():
    tokenizer = gpt2()
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(31, 1, -1)])
    tokenizer.add_tokens([AddedToken("\t" * n, normalized=True) for n in range(9, 1, -1)])
    return tokenizer


def roberta(prefix=False):
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = byte_level(
        pre_tokenizers.ByteLevel(add_prefix_space=prefix), names,
        unk_token=None, continuing_subword_prefix="", end_of_word_suffix="",
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, prefix)
    tokenizer.add_special_tokens([AddedToken(name, normalized=True) for name in names])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=True)])
    return tokenizer


def codet5():
    tokenizer = roberta(prefix=True)
    extra = [AddedToken(f"<extra_id_{i}>", lstrip=True, normalized=True) for i in range(9, -1, -1)]
    tokenizer.add_special_tokens(extra)
    return tokenizer


def deepseek():
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in DEEPSEEK]
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = byte_level(pre_tokenizers.Sequence([*splits, digits, byte]))
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.add_tokens([AddedToken(letter, normalized=True) for letter in "õ÷Áýÿû"])
    names = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>", "<|EOT|>"]
    tokenizer.add_special_tokens([AddedToken(name, normalized=True) for name in names])
    template(tokenizer, "<｜begin▁of▁sentence｜> $A")
    return tokenizer


def glm4():
    split = pre_tokenizers.Split(Regex(TIKTOKEN), "isolated")
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = byte_level(pre_tokenizers.Sequence([split, byte]), ignore_merges=True)
    tokenizer.add_special_tokens(special("<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|user|>"))
    post = processors.ByteLevel(trim_offsets=False)
    template(tokenizer, "[gMASK] <sop> $A")
    tokenizer.post_processor = processors.Sequence([post, tokenizer.post_processor])
    return tokenizer


LLAMA_START = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LLAMA_DECODER = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def sentencepiece(cross=False, **options):
    """As Llama's: bytes where a character is unknown. With `cross`, pieces may go on beyond a space."""
    pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always", split=not cross), pre_tokenizers.Split(Regex(r"[\n\t]"), "isolated")]
    )
    vocab, merges = learn(pre_tokenizer, 500, limit=90)
    letters = [token for token in vocab if len(token) == 1]
    pieces = [token for token in vocab if len(token) > 1]
    names = LLAMA_START + BYTES + pieces + letters
    options = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, **options}
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges, **options))
    tokenizer.decoder = decoders.Sequence([*LLAMA_DECODER, decoders.Strip(" ", 1, 0)])
    return tokenizer


def llama_legacy(**options):
    tokenizer = sentencepiece(**options)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens(special(*LLAMA_START))
    template(tokenizer, "<s> $A")
    return tokenizer


def codellama():
    tokenizer = llama_legacy()
    tokenizer.add_special_tokens(special("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"))
    return tokenizer


def llama(scheme="first"):
    tokenizer = sentencepiece()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.add_special_tokens(special(*LLAMA_START))
    template(tokenizer, "<s> $A </s>")
    return tokenizer


def llama_unknown():
    """No bytes to fall back to."""
    tokenizer = sentencepiece(byte_fallback=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    tokenizer.add_special_tokens(special(*LLAMA_START))
    return tokenizer


def added():
    """Every way an added token can be looked for, and a normalizer that it goes through."""
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), ["<pad>"])
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.add_tokens(
        [
            AddedToken("word", single_word=True, normalized=True),
            AddedToken("[X]", lstrip=True, rstrip=True, normalized=False),
            AddedToken("<mask>", rstrip=True, normalized=False),
            AddedToken("get_users", single_word=True, lstrip=True, normalized=False),
            AddedToken("HTTP", normalized=True),
            AddedToken("ab", normalized=False),
            AddedToken("abab", normalized=False),
        ]
    )
    tokenizer.add_special_tokens(special("<pad>"))
    return tokenizer


def splits():
    """The other ways to split, one after the other."""
    tokenizer = Tokenizer(models.BPE())
    pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("=", "merged_with_previous"),
            pre_tokenizers.Split(Regex(r"\d{2}"), "merged_with_next"),
            pre_tokenizers.Split(Regex("[aeiou]"), "contiguous"),
            pre_tokenizers.Split(Regex(r"\n+"), "removed"),
            pre_tokenizers.Split(Regex(r"[^\x00]+"), "removed", invert=True),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer = byte_level(pre_tokenizer, size=500)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace(Regex(r"[(-)]+"), "")]
    )
    return tokenizer


BUILD = {
    "gpt2": gpt2,
    "codegen": codegen,
    "roberta": roberta,
    "codet5": codet5,
    "deepseek-coder": deepseek,
    "glm4": glm4,
    "llama-legacy": llama_legacy,
    "llama-cross": lambda: llama_legacy(cross=True),
    "llama": llama,
    "llama-always": lambda: llama("always"),
    "llama-unknown": llama_unknown,
    "codellama": codellama,
    "added": added,
    "splits": splits,
}


def digest(tokenizer, text):
    ids = tokenizer.encode(text).ids
    every = [tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=False), tokenizer.decode(ids[::-1])]
    whole = "\0".join([",".join(map(str, ids)), *every])
    return base64.b64encode(hashlib.sha256(whole.encode()).digest()[:3]).decode()


def cleaned(texts):
    clean_up = transformers.PreTrainedTokenizerFast(tokenizer_object=gpt2()).clean_up_tokenization
    return [[text, clean_up(text)] for text in texts]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    answers = {}
    for name, build in BUILD.items():
        path = FOLDER / name / "tokenizer.json"
        write(path, json.loads(build().to_str()))
        loaded = Tokenizer.from_file(str(path))
        answers[name] = "".join(digest(loaded, text) for text in texts())
    write(
        FOLDER / "answers.json",
        {
            "tokenizers": tokenizers.__version__,
            "seed": SEED,
            "count": COUNT,
            "most": MOST,
            "fragments": FRAGMENTS,
            "answers": answers,
            "cleaned": cleaned([*texts()][:40] + ["do n't ; I 'm , we 've 's ' x ' ! ? they 're  . ' . '", " ' '  ' "]),
        },
    )
