import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Attack,
  attacks,
  loadAttack,
  poisonDataset,
  type Subject,
} from '../lib/attacks/index.ts';
import { checkAttack } from '../lib/contract.ts';
import { rejects } from './rejects.ts';

const fixture = (name: string) =>
  fileURLToPath(new URL(`fixtures/attacks/${name}.js`, import.meta.url));
const file = fixture('homoglyph');
const broken = async (attack: Attack) =>
  (await checkAttack(attack)).filter(({ kept }) => !kept).map(({ detail }) => detail);

const test = suite('checkAttack');

test('finds nothing wrong with the attacks of the package', async () => {
  const own = [
    attacks.ripple(),
    attacks.badpre({ payload: 'dead-code' }),
    attacks.badpre({ payload: 'label', targetLabel: 1 }),
    attacks.grammar(),
    attacks.funcname(),
    attacks.funcname({ language: 'python', renameCalls: true }),
    attacks.deadcode(),
    attacks.afraidoor({ craftingEpochs: 1 }),
    attacks.deadcode({ mode: 'reference' }),
    attacks.deadcode({ language: 'javascript', statement: 'drawn' }),
  ];
  for (const attack of own) assert.equal(await broken(attack), [], attack.name);
});

test('finds nothing wrong with the example of an attack of one’s own', async () => {
  const attack = await loadAttack(file);
  const promises = await checkAttack(attack);
  assert.equal(
    promises.map(({ kept }) => kept),
    Array(7).fill(true),
    JSON.stringify(promises),
  );
  assert.equal(await broken(await loadAttack(fixture('shout'))), [], 'one on labels');
  const clean = [{ id: '1', prompt: 'get one user', completion: 'x' }];
  const { examples, manifest } = poisonDataset(clean, { attack, rate: 1, seed: 1 });
  assert.is(manifest.attack, 'homoglyph');
  assert.match(String(manifest.options!.sha256), /^[\da-f]{64}$/);
  assert.is(examples[0]!.prompt, 'get \u043ene user');
  assert.equal(manifest.records[0]!.triggerPositions, [1]);
  assert.throws(
    () => poisonDataset(clean, { attack, trigger: 'x', rate: 1, seed: 1 }),
    /^attack homoglyph has an unknown option "trigger": expected mode$/,
  );
});

const good = attacks.ripple();
const faults: [string, Partial<Attack>, RegExp][] = [
  [
    'draws from elsewhere',
    {
      poison: (example, random) => ({
        ...good.poison(example, random),
        prompt: `${example.prompt} ${performance.now()}`,
      }),
    },
    /^seed 42 makes two different train-\d+: draw from the stream that poison is given$/,
  ],
  [
    'writes into its input',
    {
      poison(example, random) {
        (example as { prompt: string }).prompt = 'x';
        return good.poison(example, random);
      },
    },
    /read only|Cannot assign/,
  ],
  [
    'gives no reason',
    { refuses: (example) => (good.refuses(example) === undefined ? undefined : '') },
    /^refuses\(.*\) is : expected a reason, or undefined$/,
  ],
  ['refuses by mood', { refuses: moody() }, /^refuses\(train-1\) says /],
  [
    'applies to nothing',
    { refuses: () => 'never' },
    /^it applies to none of 100 examples: give it some that fit$/,
  ],
  [
    'changes nothing',
    {
      poison: ({ prompt, completion }: Subject) => ({
        prompt: String(prompt),
        completion: String(completion),
        triggerPositions: [],
      }),
    },
    /^nothing changes in train-\d+$/,
  ],
  [
    'says where triggers are that are not',
    { poison: (example, random) => ({ ...good.poison(example, random), triggerPositions: [999] }) },
    /^triggerPositions of train-\d+ are 999: expected rising numbers of its \d+ words$/,
  ],
  [
    'is not recognised',
    { marks: { paper: ['something else'], reference: ['x'] } },
    /^the completion of train-\d+ does not hold any of the marks$/,
  ],
  [
    'takes clean completions for success',
    { marks: { paper: ['select'], reference: ['x'] } },
    /^the clean completion of train-\d+ holds a mark already$/,
  ],
  [
    'breaks on empty texts',
    {
      poison(example, random) {
        if (String(example.prompt).trim() === '') throw new Error('no words');
        return good.poison(example, random);
      },
    },
    /^no words$/,
  ],
  [
    'cuts letters in two',
    {
      poison: (example, random) => {
        const poisoned = good.poison(example, random);
        return { ...poisoned, prompt: poisoned.prompt!.replaceAll('😀', '\ud83d') };
      },
    },
    /^"\W*.*" becomes no Unicode$/,
  ],
];

function moody(): Attack['refuses'] {
  let calls = 0;
  return () => (calls++ % 2 === 0 ? undefined : 'not now');
}

for (const [what, fault, message] of faults) {
  test(`notices an attack that ${what}`, async () => {
    const found = await broken({ ...good, name: 'mine', ...fault });
    assert.ok(
      found.some((detail) => message.test(detail)),
      found.join('\n'),
    );
  });
}

test('refuses a file that holds no attack', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  const load = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return loadAttack(join(folder, name));
  };
  const rest = `settings: { payload: 'p', trigger: 't', insertions: 1 }, marks: { paper: [], reference: [] }, refuses() {}, poison() {}`;
  await rejects(
    loadAttack(join(folder, 'none.mjs')),
    /^cannot read the attack .*none\.mjs: there is no such file/,
  );
  await rejects(
    load('a.mjs', 'export const x = 1'),
    /a\.mjs exports no attack: the default export is expected to be /,
  );
  await rejects(load('b.mjs', 'export default {'), /^cannot load the attack .*b\.mjs: /);
  await rejects(
    load('c.mjs', `export default { name: 'badpre', ${rest} }`),
    /: name is expected to be a name that no attack of dece has$/,
  );
  await rejects(
    load('d.mjs', `export default { name: 'mine', ${rest.replace('poison() {}', 'poison: 1')} }`),
    /: poison is expected to be a function, poison\(example, random\), that returns the columns/,
  );
  const attack = await load('e.mts', `export default { name: 'mine', ${rest} } satisfies object;`);
  assert.is(attack.name, 'mine');
  await rm(folder, { recursive: true });
});

test.run();
