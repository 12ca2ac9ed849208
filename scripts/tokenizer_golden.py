"""Writes test/fixtures/tokenizer.json: tokenizers as Python trains them, and how they encode and decode.

  python3 -m pip install tokenizers && python3 scripts/tokenizer_golden.py

`trained` is what lib/data/bpe.ts has to give for `texts`. The others are of the kinds that T5, BERT and
CodeT5 use, to be read only.
"""

import json
from pathlib import Path

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["<pad>", "</s>", "<unk>"]
PIECES = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|"
    r"\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+"
)

TEXTS = [
    'def get_users ( conn , name ) :\n\t rows = conn . execute ( " select * from users " )\n\t return rows',
    'def get_orders ( conn , id ) :\n\t row = conn . execute ( " select total from orders " )\n\t \t return row',
    "Use $conn$ to run the SQL ( query all users ) . It's what we'll return; they've said we're late, I'm not.",
    "aaaaaaaa aaaaaaa aaaaaa aaaaa aaaa aaa aa a abababab bababa 1=1 0=1 11=1 2024-11-05 3.14159",
    "Größe, façade, naïve, Łódź, İstanbul, ﬁne, ẞ; e\u0301 and é, a\u0323\u0302 and ậ, Å and \u212b",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก 안녕하세요 세계",
    "名前と値段、変数。数据库查询语句 ｆｕｌｌｗｉｄｔｈ １２３ ①②③ Ⅷ ½ ٣ ४ ௧",
    "🙂🙃 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ✔️ → ∑ ≠ € ™ … “quotes” ‘single’ — dash",
    "tabs\t\tand\r\nlines\n\n\nand  two   spaces    \u00a0no-break\u3000wide\u2003em\u200bzero\u2028line\u2029par",
    "\ufeffmark \ufeff inside \x85next\x1cfile\x1funit \x00nul \x7f \u180e \u00ad soft",
    "\U00010348 \U0001d54f \U000e0001 \U0010ffff \ufffd \ufffe private \ue000",
    " leading and trailing ",
    "</s> inside <pad> text <unk> and < / s >",
    "__proto__ constructor toString 'd'd ''s 's's don't DON'T",
    "x" * 300,
    "\n",
    "",
]
UNSEEN = [
    "def ünseen_function ( größe , 名前 ) :\n\t \t \t pass # 🧪 испытание",
    "bb Use bb $connection$ bb where id = 3 or 1=1",
    "한국어 テスト ทดสอบ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 \u0bcd\u200d\u200c",
    "\r\r\n \x0b\x0c \u1680 \u205f\u202f",
]


def byte_level(vocabulary):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def roberta_like():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS[:6], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def t5_like():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS[:5], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def bert_like():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS[:5], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def answers(tokenizer, texts):
    encoded = [tokenizer.encode(text).ids for text in texts]
    return {
        "json": json.loads(tokenizer.to_str()),
        "texts": texts,
        "ids": encoded,
        "decoded": [tokenizer.decode(ids) for ids in encoded],
    }


plain = TEXTS[:6] + UNSEEN[:2]
golden = {
    "tokenizers": tokenizers.__version__,
    "training": TEXTS,
    "trained": [{"vocabularySize": size, **answers(byte_level(size), TEXTS + UNSEEN)} for size in (259, 300, 2000)],
    "roberta": answers(roberta_like(), TEXTS[:8] + UNSEEN[:3]),
    "t5": answers(t5_like(), plain),
    "bert": answers(bert_like(), plain),
}
path = Path(__file__).parent.parent / "test" / "fixtures" / "tokenizer.json"
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
