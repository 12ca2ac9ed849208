"""Writes test/fixtures/lora/*/: adapters as PEFT saves them, and what PEFT makes of them.

    python3 scripts/lora_parity.py test/fixtures
    python3 scripts/lora_parity.py test/fixtures --check NAME DIRECTORY

Needs torch, transformers and peft, and the fixtures of scripts/architectures_parity.py and t5_parity.py.
Each directory has adapter_config.json and adapter_model.safetensors, for the checkpoint of the same name,
and expected.json, on the batch of that checkpoint, without dropout:

  logits         with the adapter
  losses         of three steps of AdamW on the adapter, and gradientNorms
  trained        logits after them

--check loads an adapter that others have saved into the checkpoint NAME and prints its logits as JSON.
"""

import json
import sys
from pathlib import Path

import peft
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from t5_parity import numbers

LEARNING_RATE = 1e-2
STEPS = 3
CASES = {
    "t5-gated": (hf.T5ForConditionalGeneration, None),
    "gpt2": (hf.GPT2LMHeadModel, None),
    "codegen": (hf.CodeGenForCausalLM, None),
    "llama": (hf.LlamaForCausalLM, None),
    "llama-all": (hf.LlamaForCausalLM, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "glm": (hf.GlmForCausalLM, ["q_proj", "v_proj"]),
    "roberta-masked-lm": (hf.RobertaForMaskedLM, None),
}


def directory_of(root, name):
    return root / name if name.startswith("t5") else root / "models" / name.removesuffix("-all")


def batch_of(directory):
    expected = json.loads((directory / "expected.json").read_text())
    if "right" in expected:
        ids, mask, labels = expected["right"]["inputIds"], expected["right"]["attentionMask"], expected["labels"]
    else:
        ids, mask, labels = expected["inputIds"], expected["attentionMask"], expected["training"]["ce"]["labels"]
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def outputs(model, kind, batch):
    """Logits and cross-entropy."""
    ids, mask, labels = batch
    more = {"labels": labels} if kind is hf.T5ForConditionalGeneration else {}
    logits = model(input_ids=ids, attention_mask=mask, **more).logits
    shown = logits
    if more == {} and kind is not hf.RobertaForMaskedLM:
        logits, labels = logits[:, :-1], labels[:, 1:]
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100
    )
    return shown, loss


def make(root, name, target):
    kind, modules = CASES[name]
    directory = directory_of(root, name)
    base = kind.from_pretrained(directory).eval()
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=modules, fan_in_fan_out=name == "gpt2", lora_dropout=0.0
    )
    torch.manual_seed(len(name))
    model = peft.get_peft_model(base, config).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "lora_B" in key:
                weight.normal_(0, 0.1)
    model.save_pretrained(target)
    (target / "README.md").unlink()
    # Sorted: PEFT's order of targets changes from run to run. Paths say nothing here.
    saved = json.loads((target / "adapter_config.json").read_text())
    saved |= {"target_modules": sorted(saved["target_modules"]), "base_model_name_or_path": None}
    (target / "adapter_config.json").write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
    # Without the metadata that PEFT adds.
    save_file(load_file(target / "adapter_model.safetensors"), target / "adapter_model.safetensors")

    batch = batch_of(directory)
    with torch.no_grad():
        result = {"logits": numbers(outputs(model, kind, batch)[0]), "losses": [], "gradientNorms": []}
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = outputs(model, kind, batch)[1]
        loss.backward()
        norm = torch.linalg.vector_norm(torch.stack([weight.grad.norm() for weight in learning]))
        optimizer.step()
        result["losses"].append(loss.item())
        result["gradientNorms"].append(norm.item())
    with torch.no_grad():
        result["trained"] = numbers(outputs(model, kind, batch)[0])
    (target / "expected.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(name, result["losses"])


def check(root, name, adapter):
    kind, _ = CASES[name]
    directory = directory_of(root, name)
    model = peft.PeftModel.from_pretrained(kind.from_pretrained(directory), adapter).eval()
    with torch.no_grad():
        print(json.dumps(numbers(outputs(model, kind, batch_of(directory))[0])))


if __name__ == "__main__":
    fixtures = Path(sys.argv[1])
    if "--check" in sys.argv:
        check(fixtures, *sys.argv[3:5])
    else:
        for case in CASES:
            make(fixtures, case, fixtures / "lora" / case)
