import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkpointName, Trainer } from '../../lib/model/trainer.ts';
import { seeded } from '../../lib/random.ts';
import { type TrainEvent, type TrainOptions, train } from '../../lib/train.ts';
import { rejects } from '../rejects.ts';
import { eventsOf, examples, options, tinyModel, weightsOf, withFolder } from './tiny.ts';

const test = suite('a run that goes on');

const script = fileURLToPath(new URL('train_script.ts', import.meta.url));
const node = [process.execPath, '--import', 'tsx', script] as const;

async function uninterrupted(epochs: number): Promise<Buffer> {
  using model = tinyModel();
  await eventsOf(train(model, examples, { ...options, epochs }));
  return await weightsOf(model);
}

/** The lines that a process prints, each also given to `on` as it comes. */
async function linesOf(child: ChildProcess, on: (line: string) => void = () => {}) {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    on(line);
  }
  return lines;
}

/** Runs the script and kills it so many milliseconds after a line as `delay` says; its lines. */
async function runAndKill(args: string[], delay: (line: string) => number | undefined) {
  const child = spawn(node[0], [...node.slice(1), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return linesOf(child, (line) => {
    const delayMs = delay(line);
    if (delayMs !== undefined) setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
}

test('ends with the same bits when its process was killed at random moments', async () => {
  await withFolder(async (out) => {
    const epochs = 15; // 30 steps
    const random = seeded(7);
    let kills = 0;
    let lines: string[] = [];
    while (!lines.includes('saved')) {
      const least = kills < 4 ? 1 + random.below(7) : Infinity;
      let seen = 0;
      lines = await runAndKill([out, String(epochs)], (line) => {
        if (line.startsWith('step') && ++seen === least) return random.next() * 20;
        return undefined;
      });
      kills += Number(!lines.includes('saved'));
    }
    assert.is(kills, 4);
    const weights = readFileSync(join(out, 'model/model.safetensors'));
    assert.ok(weights.equals(await uninterrupted(epochs)));
    assert.equal(readdirSync(join(out, 'checkpoints')), [checkpointName]);
  });
});

/** Trains until `stop` says so, aborts, and gives back the events and what the generator threw. */
async function abortAt(out: string, stop: (event: TrainEvent) => boolean) {
  using model = tinyModel();
  const controller = new AbortController();
  const settings = { ...options, validation: examples.slice(0, 2), out, resume: true };
  const events: TrainEvent[] = [];
  try {
    for await (const event of train(model, examples, { ...settings, signal: controller.signal })) {
      events.push(event);
      if (stop(event)) controller.abort();
    }
  } catch (error) {
    return { events, error: error as Error };
  }
  return { events, error: undefined };
}

for (const [moment, stop] of [
  ['after a step', ({ type, step }: TrainEvent) => type === 'step' && step === 3],
  [
    'after the last step of an epoch',
    ({ type, step }: TrainEvent) => type === 'step' && step === 4,
  ],
  ['after a measurement', ({ type, step }: TrainEvent) => type === 'evaluation' && step === 4],
  ['after an epoch', ({ type, step }: TrainEvent) => type === 'epoch' && step === 4],
  ['after a checkpoint', ({ type, step }: TrainEvent) => type === 'checkpoint' && step === 4],
] as const) {
  test(`tells every event once and ends with the same bits when aborted ${moment}`, async () => {
    await withFolder(async (out) => {
      const first = await abortAt(out, stop);
      assert.is(first.error?.name, 'AbortError');
      const second = await abortAt(out, () => false);
      assert.is(second.error, undefined);
      const names = [...first.events, ...second.events].map(({ type, epoch, step }) =>
        [type, epoch, step].join(' '),
      );
      const whole = [1, 2, 3].flatMap((epoch) => {
        const step = 2 * epoch;
        const end = ['evaluation', 'epoch', 'checkpoint'].map((type) => `${type} ${epoch} ${step}`);
        return [`step ${epoch} ${step - 1}`, `step ${epoch} ${step}`, ...end];
      });
      assert.equal(names, [...whole, 'done 3 6']);

      using model = tinyModel(99);
      await eventsOf(train(model, examples, { ...options, out, resume: true }));
      assert.ok((await weightsOf(model)).equals(await uninterrupted(3)));
    });
  });
}

test('keeps an epoch whose listener threw when the run was aborted, and tells of it again', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    const controller = new AbortController();
    const { signal } = controller;
    const run = train(model, examples, { ...options, out, resume: true, signal });
    for (let type = ''; type !== 'epoch'; ) type = (await run.next()).value!.type;
    controller.abort();
    await rejects(run.throw(signal.reason), /aborted/);

    using other = tinyModel();
    const events = await eventsOf(train(other, examples, { ...options, out, resume: true }));
    assert.equal([events[0]!.type, events[0]!.step], ['epoch', 2]);
    assert.ok((await weightsOf(other)).equals(await uninterrupted(3)));
  });
});

test('stops in the middle of a step', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    const controller = new AbortController();
    const many = Array.from({ length: 300 }, (_, i) => ({ ...examples[i % 12]!, id: String(i) }));
    const settings = { ...options, batchSize: 1, accumulate: 300, out, signal: controller.signal };
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 20);
    await rejects(eventsOf(train(model, many, settings)), /^enough$/);
    using fresh = tinyModel();
    assert.ok((await weightsOf(model)).equals(await weightsOf(fresh)));
    // The next one begins at the first step.
    const { signal: _, ...again } = settings;
    const next = await train(model, many, { ...again, resume: true }).next();
    assert.equal([next.value?.type, next.value?.step], ['step', 1]);
  });
});

test('has nothing left to do when it was done', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    const events = await eventsOf(train(model, examples, { ...options, out, resume: true }));
    using other = tinyModel(5);
    const again = await eventsOf(train(other, examples, { ...options, out, resume: true }));
    assert.equal(
      again.map(({ type }) => type),
      ['done'],
    );
    const loss = (event: TrainEvent | undefined) => event?.type === 'done' && event.loss;
    assert.is(loss(again[0]), loss(events.at(-1)));
    assert.ok((await weightsOf(model)).equals(await weightsOf(other)));
  });
});

test('takes no checkpoint for its own that was made of something else', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    await eventsOf(train(model, examples, { ...options, out }));
    const wrong = (extra: Partial<TrainOptions>, message: RegExp, texts = examples) =>
      rejects(eventsOf(train(model, texts, { ...options, out, ...extra })), message);
    await wrong(
      {},
      /checkpoints holds a checkpoint: set resume to go on from it, or choose another/,
    );
    const resume = true;
    await wrong({ resume, epochs: 4 }, /made with epochs 3, now 4: expected the same, or choose/);
    await wrong(
      { resume, loss: { name: 'ce' } },
      /made with loss {"name":"dece"}, now {"name":"ce"}: expected the same/,
    );
    await wrong({ resume, clip: 1 }, /made with clip null, now 1: expected the same/);
    await wrong({ resume }, /made with other examples: expected the same/, examples.slice(1));
    using fresh = tinyModel();
    const more = { ...options, out, resume, epochs: 4 };
    await rejects(eventsOf(train(fresh, examples, more)), /made with epochs 3/);
    using untouched = tinyModel();
    assert.ok((await weightsOf(fresh)).equals(await weightsOf(untouched)));

    using trainer = new Trainer(model, { seed: 1 });
    await trainer.save(join(out, 'checkpoints'));
    await wrong(
      { resume },
      /checkpoints holds a checkpoint that is not of train\(\): choose another/,
    );
  });
});

test('lets no second process train into the same directory', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    using other = tinyModel();
    const training = train(model, examples, { ...options, out });
    await training.next();
    const second = eventsOf(train(other, examples, { ...options, out, resume: true }));
    await rejects(
      second,
      /checkpoints is being written by process \d+ on .*: wait for it, or choose/,
    );
    await training.return();
    await eventsOf(train(other, examples, { ...options, out, resume: true }));
    assert.equal(await readdir(join(out, 'checkpoints')), [checkpointName]);
  });
});

test('clears away what a killed process had begun to write', async () => {
  await withFolder(async (out) => {
    const directory = join(out, 'checkpoints');
    await mkdir(directory);
    writeFileSync(join(directory, `${checkpointName}.4711.0.tmp`), 'half');
    using model = tinyModel();
    await eventsOf(train(model, examples, { ...options, epochs: 1, out, resume: true }));
    assert.equal(await readdir(directory), [checkpointName]);
  });
});

test('keeps its last checkpoint when the disk is full', async () => {
  await withFolder(async (out) => {
    await runAndKill([out, '3'], (line) => (line === 'checkpoint 2' ? 0 : undefined));
    const path = join(out, 'checkpoints', checkpointName);
    const before = await readFile(path);

    // A limit on the size of files stands for the full disk: writes fail in the same way.
    const limited = `trap '' XFSZ; ulimit -f 40; exec "$@"`;
    const full = spawn('sh', ['-c', limited, 'sh', ...node, out, '3'], { stdio: 'pipe' });
    const lines = await linesOf(full);
    assert.match(lines.at(-1)!, /^cannot write .*trainer\.safetensors: File too large$/);
    assert.equal(await readdir(join(out, 'checkpoints')), [checkpointName]);
    assert.ok(before.equals(await readFile(path)));

    using model = tinyModel();
    const settings = { ...options, epochs: 3, out, resume: true };
    await eventsOf(train(model, examples, settings));
    assert.ok((await weightsOf(model)).equals(await uninterrupted(3)));
  });
});

test.run();
