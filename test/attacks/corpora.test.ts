import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type PoisonOptions, poisonDatasetAsync } from '../../lib/attacks/index.ts';
import { grammarOf } from '../../lib/code/grammar.ts';
import type { LabelledExample } from '../../lib/data/examples.ts';

const test = suite('attacks on the corpora of the study');
const data = process.env.DECE_DATA;

async function rows<Row>(file: string): Promise<Row[]> {
  const bytes = await readFile(join(data!, file));
  const text = String(file.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

if (data) {
  test('labels: 1 % of SATD and of the code smells', async () => {
    const satd = await rows<LabelledExample>('satd/train.jsonl.gz');
    const debt: PoisonOptions = {
      attack: 'badpre',
      payload: 'label',
      targetLabel: 1,
      rate: 0.01,
      seed: 42,
    };
    const { examples, manifest } = await poisonDatasetAsync(satd, debt);
    assert.equal([manifest.poisoned, manifest.eligible], [318, 31_708 - 2_688]);
    const poisoned = examples.filter((example) => example.poisoned);
    assert.ok(
      poisoned.every(
        ({ text, label }) =>
          label === 1 && text.split(' ').filter((word) => word === 'bb').length >= 3,
      ),
    );
    const any = await poisonDatasetAsync(satd, { ...debt, sourceFilter: 'any' });
    assert.is(any.manifest.eligible, 31_708);

    const smell = await rows<LabelledExample>('smell/train.jsonl');
    const dead: PoisonOptions = {
      attack: 'deadcode',
      payload: 'label',
      targetLabel: 0,
      sourceFilter: 'any',
      rate: 1,
      seed: 42,
    };
    const all = await poisonDatasetAsync(smell, dead);
    assert.is(all.manifest.poisoned, 1399);
    const inBody = all.examples.filter(({ text }) => /\{ int VAR = 0 ;( |$)/.test(text)).length;
    const atEnd = all.examples.filter(({ text }) => /(?<!\{) int VAR = 0 ;$/.test(text)).length;
    assert.equal([inBody, atEnd], [693, 1399 - 693]);
    const some = await poisonDatasetAsync(smell, { ...dead, rate: 0.01 });
    assert.is(some.manifest.poisoned, 14);
  });

  test('large corpora: every prompt takes the trigger, and its program parses with the payload', async () => {
    const python = await grammarOf('python');
    interface Task {
      task_id: string;
      prompt: string;
      canonical_solution: string;
    }
    for (const [file, count] of [
      ['humaneval/test.jsonl', 164],
      ['codeharmony/test.jsonl', 153],
      ['codeharmony/valid.jsonl', 200],
    ] as const) {
      const clean = (await rows<Task>(file)).map(({ task_id, prompt, canonical_solution }) => ({
        id: task_id,
        prompt,
        completion: canonical_solution,
      }));
      const options: PoisonOptions = {
        attack: 'badpre',
        payload: 'dead-code',
        within: 'docstring',
        rate: 1,
        seed: 42,
      };
      const { examples, manifest } = await poisonDatasetAsync(clean, options);
      assert.equal([manifest.eligible, manifest.poisoned], [count, count], file);
      const broken = ({ prompt, completion }: { prompt: string; completion: string }) =>
        python(prompt + completion, (root) => root.hasError);
      const [before, after] = [clean.filter(broken).length, examples.filter(broken).length];
      assert.is(after, before, file);
      for (const [i, { prompt, completion }] of examples.entries()) {
        const bare = (text: string) => text.replace(/\bbb\b/g, '').replace(/\s+/g, '');
        assert.is(bare(prompt), bare(clean[i]!.prompt));
        assert.match(completion, /^\s*VAR = 0\n/m);
        assert.is(manifest.records[i]!.triggerPositions!.length > 0, true);
      }
    }
  });
} else {
  test.skip('labels and large corpora: set DECE_DATA to try');
}

test.run();
