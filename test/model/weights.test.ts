import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { expectedOf, fixturePath, fixtures, isClose, withCopy } from './fixture.ts';

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };
type Header = Record<string, Entry>;

const weightsIn = (directory: string) => join(directory, 'model.safetensors');

/** Rewrites a safetensors file: `edit` may change its header, and gives the bytes behind it. */
async function rewrite(
  directory: string,
  edit: (header: Header, data: Buffer) => Buffer | undefined,
): Promise<void> {
  const file = await readFile(weightsIn(directory));
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  const data = edit(header, file.subarray(8 + length)) ?? file.subarray(8 + length);
  await writeWeights(directory, JSON.stringify(header), data);
}

async function writeWeights(directory: string, header: string, data: Uint8Array): Promise<void> {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  await writeFile(weightsIn(directory), Buffer.concat([length, Buffer.from(header), data]));
}

const saving = suite('Model.save');

for (const name of fixtures) {
  saving(`${name} comes back byte for byte, as transformers wrote it`, async () => {
    await withCopy(name, async (directory) => {
      using model = await Model.load(fixturePath(name));
      await model.save(directory);
      for (const file of ['model.safetensors', 'generation_config.json']) {
        const bytes = await readFile(join(directory, file));
        assert.ok(bytes.equals(readFileSync(join(fixturePath(name), file))), file);
      }
      const config = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
      assert.equal(config, model.config);
      assert.equal(
        (await readdir(directory)).filter((file) => file.endsWith('.tmp')),
        [],
      );
    });
  });
}

saving('carries along the modules of Python that auto_map names, and no other file', async () => {
  await withCopy('models/chatglm', async (directory) => {
    const path = join(directory, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(join(directory, 'modeling_chatglm.py'), 'raise SystemExit("run")\n');
    await writeFile(join(directory, 'notes.txt'), 'x');
    const saved = async () => {
      using model = await Model.load(directory);
      const target = join(directory, 'saved');
      await model.save(target);
      return (await readdir(target)).sort();
    };
    assert.equal(await saved(), ['config.json', 'model.safetensors']);
    const map = { AutoModel: 'modeling_chatglm.ChatGLMForConditionalGeneration' };
    await writeFile(path, JSON.stringify({ ...config, auto_map: map }));
    assert.equal(await saved(), ['config.json', 'model.safetensors', 'modeling_chatglm.py']);
    const module = await readFile(join(directory, 'saved', 'modeling_chatglm.py'), 'utf8');
    assert.is(module, 'raise SystemExit("run")\n');
  });
});

saving('keeps what it does not know of a config, and the spelling of its dtype', async () => {
  await withCopy('t5-relu', async (directory) => {
    const { dtype, ...config } = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
    const odd = { ...config, torch_dtype: dtype, task_specific_params: { a: [1, { b: null }] } };
    await writeFile(join(directory, 'config.json'), JSON.stringify(odd));
    using model = await Model.load(directory, { dtype: 'bfloat16' });
    await model.save(directory);
    const saved = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
    assert.equal(saved, { ...odd, torch_dtype: 'bfloat16' });
    using again = await Model.load(directory);
    assert.is(again.dtype, 'bfloat16');
  });
});

saving('of a new model, writes weights as widely spread as transformers draws them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-'));
  const factor = 0.5;
  const sizes = { vocab_size: 400, d_model: 96, d_kv: 16, d_ff: 160, num_layers: 1, num_heads: 8 };
  const kind = { feed_forward_proj: 'gated-gelu', tie_word_embeddings: false };
  using model = Model.create(
    { model_type: 't5', ...sizes, ...kind, initializer_factor: factor },
    { seed: 11 },
  );
  await model.save(directory);
  const deviations: [RegExp, number][] = [
    [/^(shared|lm_head)\./, 1],
    [/\.q\./, (96 * 16) ** -0.5],
    [/\.[kv]\.|\.wi|relative_attention_bias/, 96 ** -0.5],
    [/\.o\./, (8 * 16) ** -0.5],
    [/\.wo\./, 160 ** -0.5],
  ];
  await rewrite(directory, (header, data) => {
    for (const [name, { data_offsets }] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      const values = new Float32Array(new Uint8Array(data.subarray(...data_offsets)).buffer);
      const squares = values.reduce((sum, value) => sum + value * value, 0);
      const found = Math.sqrt(squares / values.length);
      if (name.includes('norm')) {
        assert.ok(
          values.every((value) => value === factor),
          name,
        );
        continue;
      }
      const expected = factor * deviations.find(([pattern]) => pattern.test(name))![1];
      // Four standard errors of a deviation.
      const slack = 4 * expected * (2 * values.length) ** -0.5;
      assert.ok(Math.abs(found - expected) < slack, `${name}: ${found}, not ${expected}`);
    }
    return undefined;
  });
  await rm(directory, { recursive: true });
});

saving('of what it has loaded writes the same bytes, also in bfloat16', async () => {
  await withCopy('t5-gated', async (directory) => {
    using model = Model.create((await Model.load(directory)).config, {
      seed: 3,
      dtype: 'bfloat16',
    });
    await model.save(directory);
    const first = await readFile(weightsIn(directory));
    using loaded = await Model.load(directory);
    await loaded.save(directory);
    assert.ok((await readFile(weightsIn(directory))).equals(first));
  });
});

const python = (code: string, ...args: string[]) =>
  execFileSync('python3', ['-c', code, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
  });

function hasTransformers(): boolean {
  try {
    python(
      'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ["torch", "transformers"])))',
    );
    return true;
  } catch {
    return false;
  }
}

const loadAndCompute = `
import json, sys, torch
from transformers import T5ForConditionalGeneration
model, info = T5ForConditionalGeneration.from_pretrained(sys.argv[1], output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"], info
batch = json.loads(sys.argv[2])
ids, start = torch.tensor(batch["inputIds"]), torch.tensor(batch["decoderInputIds"])
with torch.no_grad():
    logits = model.eval()(input_ids=ids, decoder_input_ids=start).logits
    new = model.generate(ids, max_new_tokens=5, num_beams=2, do_sample=False, eos_token_id=None)
print(json.dumps({"logits": logits.flatten().tolist(), "ids": new[:, 1:].tolist()}))
`;

if (hasTransformers()) {
  for (const kind of ['relu', 'gated-gelu']) {
    saving(`of a new ${kind} model, loads in transformers and computes the same`, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'dece-'));
      const sizes = { vocab_size: 30, d_model: 16, d_kv: 4, d_ff: 24, num_layers: 2, num_heads: 2 };
      const config = {
        model_type: 't5',
        ...sizes,
        feed_forward_proj: kind,
        tie_word_embeddings: kind === 'relu',
        initializer_factor: 1,
      };
      using model = Model.create(config, { seed: 7 });
      await model.save(directory);
      const batch = { inputIds: [[3, 4, 5, 1]], decoderInputIds: [[0, 6, 7]] };
      const found = JSON.parse(python(loadAndCompute, directory, JSON.stringify(batch)));
      isClose((await model.logits(batch)).data, found.logits, 2e-6);
      const options = { maxNewTokens: 5, beams: 2, eosTokenId: [] };
      assert.equal(await model.generateIds({ inputIds: batch.inputIds }, options), found.ids);
      await rm(directory, { recursive: true });
    });
  }
} else {
  saving.skip('a saved model loads in transformers: python3 has none here', () => {});
}

saving('that runs into a full disk leaves the old weights and says so', async () => {
  await withCopy('t5-relu', async (directory) => {
    // A limit on the size of files stands for the full disk: writes fail in the same way.
    const script = fileURLToPath(new URL('save_larger.ts', import.meta.url));
    const limited = `trap '' XFSZ; ulimit -f 100; exec "$0" --import tsx "$1" "$2"`;
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      limited,
      process.execPath,
      script,
      directory,
    ]);
    assert.match(stdout, /^cannot write .*model\.safetensors: File too large\n$/);
    const old = readFileSync(weightsIn(fixturePath('t5-relu')));
    assert.ok((await readFile(weightsIn(directory))).equals(old));
    assert.equal(
      (await readdir(directory)).filter((file) => file.endsWith('.tmp')),
      [],
    );
  });
});

saving.run();

const loading = suite('Model.load');

const refuses = (directory: string, message: RegExp) => rejects(Model.load(directory), message);

loading('says what a directory lacks', async () => {
  await refuses('no-such-place', /^no-such-place is not there: expected a directory with config/);
  await refuses('gpt2', /model\.safetensors, or owner\/name of the Hub$/);
  const file = fileURLToPath(import.meta.url);
  await refuses(file, /weights\.test\.ts is a file: expected a directory with config\.json and/);
  await withCopy('t5-relu', async (directory) => {
    await rm(weightsIn(directory));
    await refuses(
      directory,
      /t5-relu has no model\.safetensors, nor model\.safetensors\.index\.json.*: expected a dir/,
    );
    await rm(join(directory, 'config.json'));
    await refuses(directory, /t5-relu has no config\.json: expected a directory that Model\.save/);
  });
});

loading('says where a config is not JSON', async () => {
  await withCopy('t5-relu', async (directory) => {
    await writeFile(join(directory, 'config.json'), '{\n  "model_type": t5\n}');
    await refuses(directory, /config\.json, line 2, column \d+ is not JSON: /);
    await writeFile(join(directory, 'config.json'), '[]');
    await refuses(directory, /config\.json is "\[\]": expected an object in braces$/);
  });
});

loading('accepts the shared embedding under its other names', async () => {
  const { inputIds, attentionMask, decoderInputIds, logits } = expectedOf('t5-relu');
  for (const keep of [true, false]) {
    await withCopy('t5-relu', async (directory) => {
      await rewrite(directory, (header, data) => {
        const { data_offsets, ...entry } = header['shared.weight']!;
        const bytes = data.subarray(...data_offsets);
        const at = (start: number): Entry => ({
          ...entry,
          data_offsets: [start, start + bytes.length],
        });
        header['encoder.embed_tokens.weight'] = keep ? at(data.length) : header['shared.weight']!;
        if (!keep) delete header['shared.weight'];
        const names = ['decoder.embed_tokens.weight', 'lm_head.weight'];
        const more = names.map(() => bytes);
        const start = data.length + (keep ? bytes.length : 0);
        names.forEach((name, i) => {
          header[name] = at(start + i * bytes.length);
        });
        return Buffer.concat([data, ...(keep ? [bytes] : []), ...more]);
      });
      using model = await Model.load(directory);
      const found = await model.logits({ inputIds, attentionMask, decoderInputIds });
      isClose(found.data, logits, 2e-6);
      assert.is(model.parameterCount, (await Model.load(fixturePath('t5-relu'))).parameterCount);
    });
  }
});

loading('believes a head of its own rather than a config that calls it tied', async () => {
  const { inputIds, attentionMask, decoderInputIds, logits } = expectedOf('t5-gated');
  await withCopy('t5-gated', async (directory) => {
    const config = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
    // What transformers 5 writes of such a model.
    const odd = { ...config, tie_word_embeddings: true, scale_decoder_outputs: false };
    await writeFile(join(directory, 'config.json'), JSON.stringify(odd));
    using model = await Model.load(directory);
    isClose((await model.logits({ inputIds, attentionMask, decoderInputIds })).data, logits, 2e-6);
  });
});

loading('names the tensor that is missing, unexpected, misshapen or of another kind', async () => {
  const cases: [RegExp, (header: Header, data: Buffer) => Buffer | undefined][] = [
    [
      /model\.safetensors: it lacks encoder\.final_layer_norm\.weight, which its config\.json calls/,
      (header) => {
        header['encoder.final.weight'] = header['encoder.final_layer_norm.weight']!;
        delete header['encoder.final_layer_norm.weight'];
        return undefined;
      },
    ],
    [
      /model\.safetensors: it has extra, for which its config\.json has no place$/,
      (header, data) => {
        header.extra = { dtype: 'U8', shape: [4], data_offsets: [data.length, data.length + 4] };
        return Buffer.concat([data, Buffer.alloc(4)]);
      },
    ],
    [
      /: shared\.weight has shape \[24, 48\]: expected \[48, 24\] by its config\.json$/,
      (header) => {
        header['shared.weight']!.shape.reverse();
        return undefined;
      },
    ],
    [
      /: shared\.weight holds Int: expected float16, bfloat16, float32 or float64$/,
      (header) => {
        header['shared.weight']!.dtype = 'I32';
        return undefined;
      },
    ],
  ];
  for (const [message, edit] of cases) {
    await withCopy('t5-relu', async (directory) => {
      await rewrite(directory, edit);
      await refuses(directory, message);
    });
  }
});

loading('refuses a file cut off anywhere', async () => {
  await withCopy('t5-relu', async (directory) => {
    const { length } = await readFile(weightsIn(directory));
    for (const size of [length - 1, length >> 1, 5000, 100, 8, 7, 0]) {
      await truncate(weightsIn(directory), size);
      await refuses(directory, /model\.safetensors: .*the file is truncated/);
    }
  });
});

loading('refuses a header that lies', async () => {
  const entry = (changes: object) => JSON.stringify({ a: { ...sound, ...changes } });
  const sound = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const two = (a: number[], b: number[]) =>
    JSON.stringify({
      a: { dtype: 'U8', shape: [a[1]! - a[0]!], data_offsets: a },
      b: { dtype: 'U8', shape: [b[1]! - b[0]!], data_offsets: b },
    });
  const cases: [string, RegExp][] = [
    [
      entry({ data_offsets: [0, 16] }),
      /speaks of 16 bytes of tensors but 8 follow: the file is trunc/,
    ],
    [entry({ data_offsets: [8, 0] }), /there is a hole of 8 bytes before a$/],
    [entry({ data_offsets: [0, 4] }), /4 bytes after the last tensor belong to none$/],
    [entry({ data_offsets: [0, 8, 8] }), /has data_offsets that are not two numbers/],
    [entry({ data_offsets: [0, -8] }), /lacks a whole number/],
    [entry({ shape: [3] }), /a has 8 bytes, which do not fit its shape and dtype$/],
    [entry({ shape: [2 ** 40, 2 ** 40] }), /the shape of a is larger than any file$/],
    [entry({ shape: [1.5] }), /lacks a ']', at byte/],
    [entry({ dtype: 'F8' }), /the dtype of a is "F8": expected one of F64, F32, F16, BF16/],
    [entry({ extra: '1' }), /has the unknown key "extra"/],
    ['{"a":{"dtype":"F32","shape":[2]}}', /has a tensor without dtype, shape or data_offsets/],
    [two([0, 8], [4, 8]), /b overlaps the tensor before it$/],
    [two([0, 2], [4, 8]), /there is a hole of 2 bytes before b$/],
    [`{"a":${JSON.stringify(sound)},"a":${JSON.stringify(sound)}}`, /names the tensor a twice/],
    [`{"a":${JSON.stringify(sound)}} x`, /goes on after its end/],
    ['{"a":{"dtype":"F32","shape":[99999999999999999999]', /has a number too large/],
    ['{"a\\ud800":', /has half a surrogate pair|lacks/],
    ['{', /ends too early/],
    ['x', /lacks a '\{'/],
    ['', /ends too early/],
  ];
  await withCopy('t5-relu', async (directory) => {
    for (const [header, message] of cases) {
      await writeWeights(directory, header, Buffer.alloc(8));
      await refuses(directory, /^cannot (read|load) .*model\.safetensors: [^\n]+$/);
      await refuses(directory, message);
    }
    for (const claim of [2n ** 63n, 100_000_001n, 1000n]) {
      const length = Buffer.alloc(16);
      length.writeBigUInt64LE(claim);
      await writeFile(weightsIn(directory), length);
      await refuses(
        directory,
        /its header claims \d+ bytes of 16: the file is truncated or no safe/,
      );
    }
  });
});

loading('survives any byte of the header being another', async () => {
  await withCopy('t5-relu', async (directory) => {
    const sound = await readFile(weightsIn(directory));
    for (let at = 0; at < 600; at += 7) {
      const broken = Buffer.from(sound);
      broken[at] = broken[at]! ^ 0x15;
      await writeFile(weightsIn(directory), broken);
      const outcome = await Model.load(directory).then(
        (model) => model.dispose(),
        (error: Error) => assert.match(error.message, /^cannot (load|read) [^\n]+$/),
      );
      assert.is(outcome, undefined);
    }
  });
});

loading.run();
