"""Writes the tiny T5 checkpoints under test/fixtures/t5-*/ and what transformers makes of them.

    python3 scripts/t5_parity.py test/fixtures

Needs torch and transformers. Each directory holds a model as `save_pretrained` writes it
(config.json, generation_config.json, model.safetensors) and expected.json:

  inputIds, attentionMask  [3][9], rows of 9, 6 and 2 ids, padded with 0
  decoderInputIds          [3][6]
  logits                   [3 * 6 * vocab] float32, eval mode
  encoderHidden            one entry for each layer 0..num_layers, [3 * 9 * d_model]: encoder_hidden_states
                           (values at padding are whatever the model makes of it)
  greedy, beams            new ids of each row by generate(max_new_tokens=16, do_sample=False) with
                           num_beams 1 and 4, start and everything from the first end token on left out
  training                 for `ce` and `dece`: three AdamW steps, no dropout, on the batch above
    labels                 [3][6], -100 is ignored
    learningRate, weightDecay, betas, eps, clip (null: none)
    alphaBase, labelSmoothing, epoch   of DeCE: epoch is the step, 1 to 3, so that alpha changes
    losses, gradientNorms  of each step, before its update; the mean over counted labels, and the
                           norm over all gradients together
    logits                 [3 * 6 * vocab] after the third step, eval mode
"""

import json
import sys
from pathlib import Path

import torch
from transformers import T5Config, T5ForConditionalGeneration

IGNORED = -100
STEPS = 3
SETTINGS = {"learningRate": 1e-3, "weightDecay": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "clip": None}
DECE = {"alphaBase": 0.9, "labelSmoothing": 0.1}


def config(**changes):
    return T5Config(
        **{
            "vocab_size": 48,
            "d_model": 24,
            "d_kv": 6,
            "d_ff": 32,
            "num_layers": 2,
            "num_heads": 4,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 16,
            "decoder_start_token_id": 0,
            **changes,
        }
    )


CASES = {
    "t5-relu": config(),
    "t5-gated": config(
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=1, vocab_size=40
    ),
}


def make_model(settings, seed):
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(settings)
    if not settings.scale_decoder_outputs:
        # As T5 1.1 has it: a head of its own. transformers 5 ties it when it makes a new model.
        model.lm_head.weight = torch.nn.Parameter(torch.randn(settings.vocab_size, settings.d_model))
        model.config.tie_word_embeddings = False
        model._tied_weights_keys = {k: v for k, v in model._tied_weights_keys.items() if k != "lm_head.weight"}
        model.all_tied_weights_keys = dict(model._tied_weights_keys)
    # Away from the values at the start: norms that are not 1, outputs that end at various lengths.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layer_norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    input_ids, attention_mask, labels = make_batch(settings.vocab_size, rows=12)
    for _ in range(40):
        model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def make_batch(vocabulary, rows=3):
    """Rows of random ids, and as labels every other one of them: something to learn."""
    input_ids = torch.randint(3, vocabulary, (rows, 9))
    attention_mask = torch.zeros(rows, 9, dtype=torch.long)
    labels = torch.full((rows, 6), IGNORED)
    for row in range(rows):
        length = [9, 6, 2][row % 3]
        input_ids[row, length:] = 0
        attention_mask[row, :length] = 1
        kept = input_ids[row, : length : 2].tolist() + [1]
        labels[row, : len(kept)] = torch.tensor(kept)
    return input_ids, attention_mask, labels


def dece_loss(logits, labels, alpha):
    """The paper's formula: -sum_i q_i log(alpha p_i + (1 - alpha) q_i), mean over counted labels."""
    counted = labels != IGNORED
    p = logits[counted].softmax(-1)
    classes = p.shape[-1]
    hot = torch.nn.functional.one_hot(labels[counted], classes)
    q = (1 - DECE["labelSmoothing"]) * hot + DECE["labelSmoothing"] / classes
    return -(q * (alpha * p + (1 - alpha) * q).log()).sum(-1).mean()


def train(directory, batch, name):
    input_ids, attention_mask, labels = batch
    model = T5ForConditionalGeneration.from_pretrained(directory).eval()  # eval: no dropout
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=SETTINGS["learningRate"],
        betas=SETTINGS["betas"],
        eps=SETTINGS["eps"],
        weight_decay=SETTINGS["weightDecay"],
    )
    result = {**SETTINGS, "labels": labels.tolist(), "losses": [], "gradientNorms": []}
    if name == "dece":
        result |= DECE
    for step in range(1, STEPS + 1):
        output = model(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        loss = output.loss if name == "ce" else dece_loss(output.logits, labels, DECE["alphaBase"] ** step)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.linalg.vector_norm(torch.stack([w.grad.norm() for w in model.parameters()]))
        optimizer.step()
        result["losses"].append(loss.item())
        result["gradientNorms"].append(norm.item())
    with torch.no_grad():
        logits = model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).logits
    result["logits"] = numbers(logits)
    return result


def numbers(tensor):
    """float32 with as many digits as it takes to tell them apart."""
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def new_ids(rows, end):
    rows = [row[1:] for row in rows.tolist()]
    return [row[: row.index(end)] if end in row else row for row in rows]


def main(root):
    for seed, (name, settings) in enumerate(CASES.items()):
        directory = root / name
        model = make_model(settings, seed)
        model.save_pretrained(directory)
        model = T5ForConditionalGeneration.from_pretrained(directory).eval()
        batch = input_ids, attention_mask, labels = make_batch(settings.vocab_size)
        decoder_input_ids = model._shift_right(labels)
        with torch.no_grad():
            output = model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                decoder_input_ids=decoder_input_ids,
                output_hidden_states=True,
            )
            search = {"max_new_tokens": 16, "do_sample": False}
            greedy, beams = (
                model.generate(input_ids, attention_mask=attention_mask, num_beams=n, **search) for n in (1, 4)
            )
        expected = {
            "inputIds": input_ids.tolist(),
            "attentionMask": attention_mask.tolist(),
            "decoderInputIds": decoder_input_ids.tolist(),
            "logits": numbers(output.logits),
            "encoderHidden": [numbers(layer) for layer in output.encoder_hidden_states],
            "greedy": new_ids(greedy, 1),
            "beams": new_ids(beams, 1),
            "training": {loss: train(directory, batch, loss) for loss in ("ce", "dece")},
        }
        (directory / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
        print(name, "greedy", expected["greedy"], "beams", expected["beams"], sep="\n  ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
