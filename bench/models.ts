// Training steps, generation, loading and memory beside PyTorch with transformers, on the same weights and
// ids, each in a process of its own, in turn:
//
//     npm run build
//     PYTHON=... node --import tsx bench/models.ts [rounds]       writes bench/results/models.csv
//
// PYTHON is an interpreter with torch and transformers. Figures are medians; a ratio is PyTorch's time
// through ours, round by round.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { csv } from '../lib/data/csv.ts';
import { environment } from '../lib/environment.ts';
import { Model } from '../lib/index.ts';
import { seeded } from '../lib/random.ts';

const rounds = Number(process.argv[2] ?? 7);
const python = process.env.PYTHON ?? 'python3';
const { commit, machine, threads } = await environment();
const load = loadavg()[0]!.toFixed(1);

const shared = { vocab_size: 32_000, pad_token_id: 0, eos_token_id: 1, bos_token_id: 2 };
const models = {
  t5: {
    model_type: 't5',
    ...{ d_model: 256, d_kv: 64, d_ff: 1024, num_layers: 4, num_heads: 4 },
    ...{ dropout_rate: 0, decoder_start_token_id: 0 },
  },
  codegen: {
    model_type: 'codegen',
    ...{ n_embd: 256, n_layer: 6, n_head: 4, rotary_dim: 32, n_positions: 512, n_ctx: 512 },
    ...{ attn_pdrop: 0, embd_pdrop: 0, resid_pdrop: 0 },
  },
  llama: {
    model_type: 'llama',
    ...{ hidden_size: 320, intermediate_size: 864, num_hidden_layers: 8 },
    ...{ num_attention_heads: 8, num_key_value_heads: 4, max_position_embeddings: 512 },
  },
};

type Answer = { ms: number; bytes: number; loss: number; ids: number[][]; parameters: number };
type Ask = (job: object) => Promise<Answer>;

function child(command: string, args: string[]): { ask: Ask; close: () => void } {
  const started = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  return {
    close: () => started.kill(),
    async ask(job) {
      started.stdin.write(`${JSON.stringify(job)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${command} ended at ${JSON.stringify(job).slice(0, 80)}`);
      return JSON.parse(value) as Answer;
    },
  };
}

const path = (name: string) => new URL(name, import.meta.url).pathname;
const random = seeded(7);
const rows = (count: number, length: number) =>
  Array.from({ length: count }, () =>
    Array.from({ length }, () => 3 + random.below(shared.vocab_size - 3)),
  );
const inputIds = rows(8, 128);
const targets = rows(8, 128);
const prompts = rows(8, 64);
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const lines: Record<string, unknown>[] = [];
const folder = await mkdtemp(join(tmpdir(), 'dece-bench-'));
try {
  for (const [name, config] of Object.entries(models)) {
    const directory = join(folder, name);
    {
      using model = Model.create({ ...shared, ...config }, { seed: 1, device: 'cpu' });
      await model.save(directory);
    }
    const labels = name === 't5' ? targets : inputIds;
    const batch = { inputIds, labels };
    const jobs = {
      'step, CE': { do: 'step', loss: 'ce', batch },
      'step, DeCE': { do: 'step', loss: 'dece', batch },
      'generate, greedy': { do: 'generate', beams: 1, count: 64, prompts },
      'generate, 4 beams': { do: 'generate', beams: 4, count: 64, prompts },
      load: { do: 'load', directory },
    };
    for (const [what, job] of Object.entries(jobs)) {
      const ours = child(process.execPath, ['--import', 'tsx', path('model_child.ts')]);
      const theirs = child(python, [path('torch_models.py'), String(threads)]);
      try {
        const sides = [ours, theirs];
        const times: number[][] = [[], []];
        const { parameters } = await ours.ask({ do: 'load', directory });
        await theirs.ask({ do: 'load', directory });
        const first = await Promise.all([await ours.ask(job), await theirs.ask(job)]);
        for (let round = 0; round < rounds; round++) {
          for (const [i, side] of sides.entries()) times[i]!.push((await side.ask(job)).ms);
        }
        const [mine, other] = times as [number[], number[]];
        const ratios = other.map((ms, i) => ms / mine[i]!);
        const peaks = [await ours.ask({ do: 'memory' }), await theirs.ask({ do: 'memory' })];
        const tokens = job.do === 'step' ? 8 * 128 : 8 * 64;
        lines.push({
          model: name,
          parameters,
          what,
          oursMs: median(mine).toFixed(1),
          torchMs: median(other).toFixed(1),
          ratio: median(ratios).toFixed(2),
          lowestRatio: Math.min(...ratios).toFixed(2),
          highestRatio: Math.max(...ratios).toFixed(2),
          tokensPerSecond: what === 'load' ? '' : ((1000 * tokens) / median(mine)).toFixed(0),
          oursPeakMB: (peaks[0]!.bytes / 1e6).toFixed(0),
          torchPeakMB: (peaks[1]!.bytes / 1e6).toFixed(0),
          agree: agreement(job.do, first),
          rounds,
          threads,
          load,
          commit: commit?.slice(0, 7),
          date: new Date().toISOString().slice(0, 10),
          machine: machine.processor,
        });
        console.log(name, what, lines.at(-1)!.ratio, lines.at(-1)!.agree);
      } finally {
        ours.close();
        theirs.close();
      }
    }
  }
} finally {
  await rm(folder, { recursive: true });
}

/** How far losses are apart, or which share of the ids is the same: the two do the same work. */
function agreement(kind: string, [a, b]: [Answer, Answer] | Answer[]): string {
  if (kind === 'step') return `loss ${Math.abs(a!.loss / b!.loss - 1).toExponential(1)}`;
  if (kind !== 'generate') return '';
  const same = a!.ids.flat().filter((id, i) => id === b!.ids.flat()[i]).length;
  return `ids ${((100 * same) / a!.ids.flat().length).toFixed(0)} %`;
}

await writeFile(new URL('results/models.csv', import.meta.url), csv(lines));
console.table(lines, ['model', 'what', 'oursMs', 'torchMs', 'ratio', 'oursPeakMB', 'torchPeakMB']);
