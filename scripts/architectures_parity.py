"""Writes tiny checkpoints of every architecture but T5 under test/fixtures/models/*/ and what
transformers makes of them.

    python3 scripts/architectures_parity.py test/fixtures/models

Needs torch and transformers. Each directory holds a model as `save_pretrained` writes it and
expected.json:

  right, left      the same rows padded at their end or begin: inputIds, attentionMask [3][9], and
                   logits [3 * 9 * vocabulary], float32, eval mode, positions counted from the first
                   id of a row; values at padding mean nothing
  bfloat16         logits of `right`, computed in bfloat16
  hidden           of `right`, one entry for each layer 0..n (not seq2seq)
  decoderInputIds  [3][6] (seq2seq alone), whose logits [3 * 6 * vocabulary] stand in `right`
  greedy, beams    new ids of each row of `left` by generate(max_new_tokens=10, do_sample=False) with
                   1 and 4 beams, without the end token and what follows (not encoders alone)
  training         as in t5_parity.py: three steps of AdamW with `ce` and `dece` on `right`

transformers has no ChatGLM: that checkpoint is the GLM one, its weights renamed and joined by hand.
The seq2seq is written here by the authors' description (CodeXGLUE's code-to-text): RobertaModel and
PyTorch's TransformerDecoder.
"""

import copy
import json
import sys
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from t5_parity import DECE, IGNORED, SETTINGS, STEPS, dece_loss, numbers

VOCABULARY = 40
END = 1
LLAMA = dict(
    vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, pad_token_id=0, bos_token_id=2, eos_token_id=END, max_position_embeddings=64,
)
GPT = dict(
    vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=2, eos_token_id=END,
    pad_token_id=0,
)
ROBERTA = dict(
    vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=40, type_vocab_size=1, pad_token_id=0, bos_token_id=2, eos_token_id=END,
)


def rope(kind, **values):
    return {"rope_type": kind, "rope_theta": 10000.0, **values}


CASES = {
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT)),
    "codegen": lambda: hf.CodeGenForCausalLM(hf.CodeGenConfig(**GPT, n_ctx=64, rotary_dim=2)),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA)),
    # As DeepSeek-Coder has it.
    "llama-linear": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(**LLAMA, rope_parameters=rope("linear", factor=4.0))
    ),
    # Texts longer than the positions of the first training.
    "llama-dynamic": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(**{**LLAMA, "max_position_embeddings": 6}, rope_parameters=rope("dynamic", factor=2.0))
    ),
    "llama-llama3": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(
            **{**LLAMA, "num_attention_heads": 2, "num_key_value_heads": 1},
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
            rope_parameters=rope(
                "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
            ),
        )
    ),
    "glm": lambda: hf.GlmForCausalLM(hf.GlmConfig(**LLAMA, head_dim=8)),
    "roberta-masked-lm": lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**ROBERTA)),
    "roberta-classification": lambda: hf.RobertaForSequenceClassification(hf.RobertaConfig(**ROBERTA, num_labels=3)),
    "roberta-seq2seq": lambda: Seq2Seq(hf.RobertaConfig(**ROBERTA, decoder_layers=2, decoder_ffn_dim=24)),
}


class Seq2Seq(torch.nn.Module):
    """RobertaModel, TransformerDecoder, dense and tanh; the head is the embedding."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = hf.RobertaModel(config, add_pooling_layer=False)
        layer = torch.nn.TransformerDecoderLayer(
            config.hidden_size, config.num_attention_heads, dim_feedforward=config.decoder_ffn_dim
        )
        self.decoder = torch.nn.TransformerDecoder(layer, config.decoder_layers)
        self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        encoded = self.encoder(input_ids, attention_mask=attention_mask)[0].permute(1, 0, 2)
        length = decoder_input_ids.shape[1]
        mask = torch.full((length, length), -1e4, dtype=encoded.dtype).triu(1)
        target = self.encoder.embeddings(decoder_input_ids).permute(1, 0, 2)
        out = self.decoder(
            target, encoded, tgt_mask=mask, memory_key_padding_mask=attention_mask == 0
        )
        hidden = torch.tanh(self.dense(out)).permute(1, 0, 2)
        return hidden @ self.encoder.embeddings.word_embeddings.weight.T

    def greedy(self, input_ids, attention_mask, count):
        ids = torch.full((len(input_ids), 1), self.config.bos_token_id)
        for _ in range(count):
            next_ids = self(input_ids, attention_mask, ids)[:, -1].argmax(-1, keepdim=True)
            ids = torch.cat([ids, next_ids], 1)
        return ids[:, 1:]

    def save_pretrained(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        config = {**self.config.to_dict(), "architectures": ["Seq2Seq"], "decoder_dropout": 0.1, "dtype": "float32"}
        (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, directory / "model.safetensors")


def rows(batch=3, left=False, ends=False):
    """Ids that repeat with a period: something to learn."""
    ids = torch.zeros(batch, 9, dtype=torch.long)
    mask = torch.zeros(batch, 9, dtype=torch.long)
    for row in range(batch):
        length = [9, 6, 3][row % 3]
        period = torch.randint(3, VOCABULARY, (3,))
        text = period.repeat(3)[:length]
        if ends:
            text[-1] = END
        place = slice(9 - length, 9) if left else slice(0, length)
        ids[row, place] = text
        mask[row, place] = 1
    return ids, mask


def positions(mask):
    return (mask.cumsum(1) - 1).clamp_min(0)


def is_causal(model):
    return not isinstance(model, Seq2Seq) and "roberta" != model.config.model_type


def logits_of(model, ids, mask, decoder_ids=None):
    if decoder_ids is not None:
        return model(ids, mask, decoder_ids)
    more = {"position_ids": positions(mask)} if is_causal(model) else {}
    return model(input_ids=ids, attention_mask=mask, **more).logits


def labels_for(model, ids, mask):
    if isinstance(model, hf.RobertaForSequenceClassification):
        return ids[:, :1] % 3
    if isinstance(model, Seq2Seq):
        labels = ids[:, :6].masked_fill(mask[:, :6] == 0, IGNORED)
        labels[:, 5] = END
        return labels
    labels = ids.masked_fill(mask == 0, IGNORED)
    labels[0, 2] = IGNORED
    return labels


def shifted(labels, start=2):
    ids = labels.masked_fill(labels == IGNORED, 0)
    return torch.cat([torch.full((len(ids), 1), start), ids[:, :-1]], 1)


def loss_of(model, ids, mask, labels, alpha=None):
    decoder_ids = shifted(labels) if isinstance(model, Seq2Seq) else None
    logits = logits_of(model, ids, mask, decoder_ids)
    if isinstance(model, hf.RobertaForSequenceClassification):
        logits, labels = logits[:, None], labels
    if is_causal(model):
        logits, labels = logits[:, :-1], labels[:, 1:]
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    if alpha is None:
        return torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED)
    return dece_loss(logits, labels, alpha)


def make(name, seed):
    torch.manual_seed(seed)
    model = CASES[name]().eval()
    # Away from the values at the start: norms that are not 1, biases that are not 0.
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.add_(0.3 * torch.randn_like(weight))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ids, mask = rows(12, ends=True)
    for _ in range(30):
        optimizer.zero_grad()
        loss_of(model, ids, mask, labels_for(model, ids, mask)).backward()
        optimizer.step()
    return model.eval()


def train(model, state, batch, name):
    ids, mask, labels = batch
    model.load_state_dict(state)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=SETTINGS["learningRate"],
        betas=SETTINGS["betas"],
        eps=SETTINGS["eps"],
        weight_decay=SETTINGS["weightDecay"],
    )
    result = {**SETTINGS, **(DECE if name == "dece" else {}), "losses": [], "gradientNorms": []}
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = loss_of(model, ids, mask, labels, None if name == "ce" else DECE["alphaBase"] ** step)
        loss.backward()
        norms = [w.grad.norm() for w in model.parameters() if w.grad is not None]
        optimizer.step()
        result["losses"].append(loss.item())
        result["gradientNorms"].append(torch.linalg.vector_norm(torch.stack(norms)).item())
    with torch.no_grad():
        decoder_ids = shifted(labels) if isinstance(model, Seq2Seq) else None
        result["logits"] = numbers(logits_of(model, ids, mask, decoder_ids))
    return result


def new_ids(ids):
    return [row[: row.index(END)] if END in row else row for row in ids.tolist()]


def expected_of(model):
    torch.manual_seed(7)
    ids, mask = rows()
    torch.manual_seed(7)
    left_ids, left_mask = rows(left=True)
    labels = labels_for(model, ids, mask)
    decoder_ids = shifted(labels) if isinstance(model, Seq2Seq) else None
    unused = copy.deepcopy(model)  # scaled rotary embeddings keep the longest text they have seen
    with torch.no_grad():
        result = {
            side: {
                "inputIds": some.tolist(),
                "attentionMask": some_mask.tolist(),
                "logits": numbers(logits_of(model, some, some_mask, decoder_ids)),
            }
            for side, some, some_mask in (("right", ids, mask), ("left", left_ids, left_mask))
        }
        if isinstance(model, Seq2Seq):
            result["decoderInputIds"] = decoder_ids.tolist()
            result["greedy"] = new_ids(model.greedy(left_ids, left_mask, 10))
        else:
            more = {"position_ids": positions(mask)} if is_causal(model) else {}
            output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, **more)
            result["hidden"] = [numbers(layer) for layer in output.hidden_states]
        if is_causal(model):
            for key, beams in (("greedy", 1), ("beams", 4)):
                found = model.generate(
                    left_ids, attention_mask=left_mask, num_beams=beams, max_new_tokens=10, do_sample=False
                )
                result[key] = new_ids(found[:, left_ids.shape[1] :])
    result["labels"] = labels.tolist()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    result["training"] = {loss: train(copy.deepcopy(unused), state, (ids, mask, labels), loss) for loss in ("ce", "dece")}
    with torch.no_grad():
        result["bfloat16"] = numbers(logits_of(model.to(torch.bfloat16), ids, mask, decoder_ids).float())
    return result


def chatglm(source, target):
    """The GLM checkpoint by the names that ChatGLM's own code has."""
    config = json.loads((source / "config.json").read_text())
    weights = load_file(source / "model.safetensors")
    renamed = {
        "transformer.embedding.word_embeddings.weight": weights["model.embed_tokens.weight"],
        "transformer.encoder.final_layernorm.weight": weights["model.norm.weight"],
        "transformer.output_layer.weight": weights["lm_head.weight"],
        "transformer.rotary_pos_emb.inv_freq": torch.zeros(2),
    }
    for i in range(config["num_hidden_layers"]):
        old, new = f"model.layers.{i}.", f"transformer.encoder.layers.{i}."
        for kind in ("weight", "bias"):
            parts = [weights[f"{old}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            renamed[f"{new}self_attention.query_key_value.{kind}"] = torch.cat(parts)
        for there, here in (
            ("self_attn.o_proj", "self_attention.dense"),
            ("mlp.gate_up_proj", "mlp.dense_h_to_4h"),
            ("mlp.down_proj", "mlp.dense_4h_to_h"),
            ("input_layernorm", "input_layernorm"),
            ("post_attention_layernorm", "post_attention_layernorm"),
        ):
            renamed[f"{new}{here}.weight"] = weights[f"{old}{there}.weight"]
    target.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in renamed.items()}, target / "model.safetensors")
    settings = {
        "model_type": "chatglm",
        "architectures": ["ChatGLMForConditionalGeneration"],
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "apply_residual_connection_post_layernorm": False,
        "ffn_hidden_size": config["intermediate_size"],
        "hidden_size": config["hidden_size"],
        "kv_channels": config["head_dim"],
        "layernorm_epsilon": config["rms_norm_eps"],
        "multi_query_attention": True,
        "multi_query_group_num": config["num_key_value_heads"],
        "num_attention_heads": config["num_attention_heads"],
        "num_layers": config["num_hidden_layers"],
        "padded_vocab_size": config["vocab_size"],
        "post_layer_norm": True,
        "rmsnorm": True,
        "seq_length": 64,
        "torch_dtype": "float32",
        "eos_token_id": END,
        "pad_token_id": 0,
    }
    (target / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (target / "expected.json").write_text((source / "expected.json").read_text())


def main(root):
    for seed, name in enumerate(CASES):
        directory = root / name
        model = make(name, seed)
        model.save_pretrained(directory)
        expected = expected_of(model)
        (directory / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
        print(name, expected["training"]["ce"]["losses"], expected.get("greedy"), expected.get("beams"), sep="\n  ")
    chatglm(root / "glm", root / "chatglm")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
