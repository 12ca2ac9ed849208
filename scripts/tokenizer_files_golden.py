"""Writes directories into test/fixtures/tokenizers that have no tokenizer.json, only the older files of
RoBERTa, GPT-2, CodeGen, CodeT5, Llama, GLM-4 and CodeGeeX2, and what transformers (tiktoken for GLM-4,
sentencepiece for CodeGeeX2) makes of texts with them; and one whose special tokens are in tokenizer_config.json only, as those of DeepSeek-Coder.

  python3 -m pip install transformers==4.46.3 sentencepiece protobuf tiktoken
  python3 scripts/tokenizer_files_golden.py

The version is one that still converts such files as it did when the study was made. Run
scripts/tokenizer_models_golden.py before: the texts are its texts.
"""

import base64
import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import sentencepiece
import tiktoken
import transformers
from tokenizer_models_golden import CODE, FOLDER, TIKTOKEN, digest, texts, write
from transformers import AutoTokenizer
from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

def lines(path, merges):
    path.write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8")


def pair(name, source, config, **files):
    """vocab.json and merges.txt of a tokenizer.json."""
    folder = FOLDER / name
    model = json.loads((FOLDER / source / "tokenizer.json").read_text())["model"]
    write(folder / "vocab.json", model["vocab"])
    lines(folder / "merges.txt", model["merges"])
    write(folder / "config.json", config)
    for file, value in files.items():
        write(folder / f"{file}.json", value)


def token(content, **options):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, **options}


def sentences(name, config, **options):
    """tokenizer.model as SentencePiece trains it, with settings as Llama's has."""
    folder = FOLDER / name
    write(folder / "tokenizer_config.json", config)
    # The model keeps the names of its input: plain ones, so, of the folder that it is trained in.
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        corpus = Path("corpus.txt")
        kept = [text.replace("\n", " ").replace("\0", "") for text in [*texts()][:600] + CODE * 5]
        corpus.write_text("\n".join(kept), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix="out", model_type="bpe", vocab_size=700,
            character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
            remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
            max_sentence_length=100000, num_threads=1, minloglevel=2, **options,
        )
        shutil.copy("out.model", folder / "tokenizer.model")


def ranks(name, source, config):
    """tokenizer.model as tiktoken's, of the vocabulary of a tokenizer.json: ranks are ids."""
    folder = FOLDER / name
    write(folder / "tokenizer_config.json", config)
    vocab = json.loads((FOLDER / source / "tokenizer.json").read_text())["model"]["vocab"]
    byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
    tokens = {bytes(byte_of[letter] for letter in token): rank for token, rank in vocab.items()}
    with open(folder / "tokenizer.model", "wb") as file:
        for token, rank in sorted(tokens.items(), key=lambda item: item[1]):
            file.write(base64.b64encode(token) + b" %d\n" % rank)
    return tokens


GLM_SPECIAL = {name: 700 + i for i, name in enumerate(["<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|user|>"])}


class Tiktoken:
    """tiktoken with the face of a tokenizer of tokenizers, as ChatGLM4Tokenizer uses it."""

    def __init__(self, tokens):
        self.encoding = tiktoken.Encoding("glm", pat_str=TIKTOKEN, mergeable_ranks=tokens, special_tokens=GLM_SPECIAL)

    def encode(self, text):
        prefix = [GLM_SPECIAL["[gMASK]"], GLM_SPECIAL["<sop>"]]
        return SimpleNamespace(ids=prefix + self.encoding.encode(text, allowed_special="all"))

    def decode(self, ids, skip_special_tokens=True):
        kept = [each for each in ids if not (skip_special_tokens and each in GLM_SPECIAL.values())]
        return self.encoding.decode(kept)


class ChatGlm:
    """sentencepiece with the face of a tokenizer of tokenizers, as CodeGeeX2's ChatGLMTokenizer uses it."""

    def __init__(self, folder):
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        size = self.model.vocab_size()
        self.commands = {size + i: name for i, name in enumerate(["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"])}
        self.prefix = [size + 1, size + 3]

    def encode(self, text):
        return SimpleNamespace(ids=self.prefix + self.model.encode(text))

    def decode(self, ids, skip_special_tokens=True):
        return self.model.decode_pieces([self.piece(each) for each in ids])

    def piece(self, each):
        silent = (self.model.bos_id(), self.model.eos_id(), self.model.unk_id())
        return "" if each in silent else self.commands.get(each) or self.model.id_to_piece(each)


def codegeex2():
    """Its own code takes no text for a special token."""
    config = {"remove_space": False, "do_lower_case": False, "tokenizer_class": "ChatGLMTokenizer"}
    sentences("files-codegeex2", config)
    tokenizer = ChatGlm(FOLDER / "files-codegeex2")
    return "".join(digest(tokenizer, text) for text in texts())


def build():
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "cls_token": "<s>"}
    roles |= {"pad_token": "<pad>", "mask_token": "<mask>"}
    pair("files-roberta", "roberta", {"model_type": "roberta"}, special_tokens_map=roles, tokenizer_config={"model_max_length": 512})
    extra = [token(f"<extra_id_{i}>", lstrip=True) for i in range(9, -1, -1)]
    pair(
        "files-codet5", "codet5", {"model_type": "t5", "tokenizer_class": "RobertaTokenizer"},
        special_tokens_map={**{key: token(value) for key, value in roles.items()}, "mask_token": token("<mask>", lstrip=True), "additional_special_tokens": extra},
        added_tokens={each["content"]: 701 + i for i, each in enumerate(extra)} | {"<mask>": 700},
        tokenizer_config={"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False, "errors": "replace"},
    )
    pair("files-gpt2", "gpt2", {"model_type": "gpt2"})
    spaces = {" " * n: 700 + 31 - n for n in range(31, 1, -1)} | {"\t" * n: 730 + 9 - n for n in range(9, 1, -1)}
    pair(
        "files-codegen", "gpt2", {"model_type": "codegen"}, added_tokens=spaces,
        tokenizer_config={"tokenizer_class": "CodeGenTokenizer", "add_prefix_space": True, "unk_token": "<|endoftext|>"},
    )
    pair(
        "files-decoder", "gpt2", {"model_type": "gpt2"},
        tokenizer_config={
            "tokenizer_class": "GPT2Tokenizer", "pad_token": "<|pad|>", "additional_special_tokens": ["<|user|>"],
            "added_tokens_decoder": {
                "0": token("<|endoftext|>", special=True, normalized=False),
                "702": token("[X]", special=False, rstrip=True, normalized=False),
                "700": token("<|pad|>", special=True, normalized=False),
                "701": token("<|user|>", special=True, normalized=False),
            },
        },
    )
    deepseek = json.loads((FOLDER / "deepseek-coder" / "tokenizer.json").read_text())
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    write(FOLDER / "files-deepseek" / "tokenizer.json", {**deepseek, "post_processor": byte_level})
    write(
        FOLDER / "files-deepseek" / "tokenizer_config.json",
        {
            "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": True, "unk_token": None,
            "bos_token": {"__type": "AddedToken", **token("<｜begin▁of▁sentence｜>")},
            "eos_token": {"__type": "AddedToken", **token("<｜end▁of▁sentence｜>")},
        },
    )
    sentences("files-llama", {"tokenizer_class": "LlamaTokenizer"})
    sentences(
        "files-llama-new",
        {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_eos_token": True, "add_bos_token": False, "pad_token": "<unk>"},
        user_defined_symbols=["<|user|>", "[X]"], control_symbols=["<sop>"],
    )
    sentences("files-codellama", {"tokenizer_class": "CodeLlamaTokenizer"}, control_symbols=["▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"])


NAMES = ["roberta", "codet5", "gpt2", "codegen", "decoder", "deepseek", "llama", "llama-new", "codellama"]
ROLES = ["bos", "eos", "pad", "unk", "cls", "sep", "mask"]

if __name__ == "__main__":
    build()
    answers, ids = {}, {}
    for name in [f"files-{name}" for name in NAMES]:
        tokenizer = AutoTokenizer.from_pretrained(FOLDER / name)
        assert tokenizer.is_fast
        answers[name] = "".join(digest(tokenizer.backend_tokenizer, text) for text in texts())
        ids[name] = {role: getattr(tokenizer, f"{role}_token_id") for role in ROLES}
    listed = {str(each): token(name, special=True, normalized=False) for name, each in GLM_SPECIAL.items()}
    tokens = ranks("files-glm4", "glm4", {"tokenizer_class": "ChatGLM4Tokenizer", "added_tokens_decoder": listed})
    glm4 = Tiktoken(tokens)
    answers["files-glm4"] = "".join(digest(glm4, text) for text in texts())
    ids["files-glm4"] = {"eos": 700, "pad": 700, "bos": None}
    answers["files-codegeex2"] = codegeex2()
    ids["files-codegeex2"] = {"eos": 2, "pad": 0, "bos": 1}
    write(FOLDER / "files.json", {"transformers": transformers.__version__, "answers": answers, "ids": ids})
