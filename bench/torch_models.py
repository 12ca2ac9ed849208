"""The other side of bench/models.ts: PyTorch and transformers. Reads a job from each line of stdin,
answers with a line; bench/model_child.ts knows the same jobs.

PyTorch is given its best: fused AdamW, scaled dot product attention, no dropout, and as many threads.
DeCE is the authors' code, eager: smoothed labels spread over the other classes, softmax clamped, the
blend, the logarithm, each a tensor of the logits' size.
"""

import json
import sys
import time

import torch
import transformers

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
CLASSES = {
    "t5": transformers.T5ForConditionalGeneration,
    "codegen": transformers.CodeGenForCausalLM,
    "llama": transformers.LlamaForCausalLM,
}
IGNORED = -100


def dece(logits, labels, alpha=0.99, smoothing=0.1):
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    classes = logits.shape[-1]
    kept = labels != IGNORED
    p = logits.softmax(-1).clamp(1e-7, 1.0)
    hot = torch.nn.functional.one_hot(labels.masked_fill(~kept, 0), classes).float()
    hot = hot * (1 - smoothing) + (1 - hot) * smoothing / (classes - 1)
    hot = hot.clamp(1e-7, 1.0)
    loss = -(hot * (alpha * p + (1 - alpha) * hot).log()).sum(-1)
    return (loss * kept).mean()


class Side:
    def load(self, job):
        self.model = self.optimizer = None  # what the last one held is given back before, on both sides
        started = time.perf_counter()
        kind = json.load(open(job["directory"] + "/config.json"))["model_type"]
        self.model = CLASSES[kind].from_pretrained(job["directory"], dtype=torch.float32)
        answer = {"ms": 1000 * (time.perf_counter() - started)}
        self.causal = kind != "t5"
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
        open("/proc/self/clear_refs", "w").write("5")
        return answer

    def step(self, job):
        ids, labels = (torch.tensor(job["batch"][key]) for key in ("inputIds", "labels"))
        started = time.perf_counter()
        self.model.train()
        if job["loss"] == "ce":
            loss = self.model(input_ids=ids, labels=labels).loss
        else:
            more = {} if self.causal else {"decoder_input_ids": self.model._shift_right(labels)}
            logits = self.model(input_ids=ids, **more).logits
            if self.causal:
                logits, labels = logits[:, :-1], labels[:, 1:]
            loss = dece(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        torch.stack([w.grad.norm() for w in self.model.parameters()]).norm().item()  # ours gives it too
        self.optimizer.step()
        return {"ms": 1000 * (time.perf_counter() - started), "loss": loss.item()}

    def generate(self, job):
        ids = torch.tensor(job["prompts"])
        started = time.perf_counter()
        self.model.eval()
        with torch.inference_mode():
            found = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                num_beams=job["beams"],
                max_new_tokens=job["count"],
                min_new_tokens=job["count"],
                do_sample=False,
                pad_token_id=0,
            )
        first = ids.shape[1] if self.causal else 1
        return {"ms": 1000 * (time.perf_counter() - started), "ids": found[:, first:].tolist()}

    def memory(self, job):
        status = open("/proc/self/status").read()
        return {"bytes": 1024 * int(status.split("VmHWM:")[1].split()[0])}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    side = Side()
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(getattr(side, job["do"])(job)), flush=True)


if __name__ == "__main__":
    main()
