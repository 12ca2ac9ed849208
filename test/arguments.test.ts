import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as dece from '../lib/index.ts';

type Public = Record<string, unknown>;
type Call = (...args: unknown[]) => unknown;

/** What Node and JavaScript say by themselves of an argument that they cannot use. */
const raw =
  /^Cannot (read|convert|destructure)|is not iterable|is not a function|"(path|paths)[^"]*" argument/;

/** What a call ends with, also of a promise or of the first step of a generator. */
async function endOf(call: Call, args: unknown[]): Promise<Error | undefined> {
  try {
    const result = call(...args) as { next?: () => unknown } | undefined;
    await (typeof result?.next === 'function' ? result.next() : result);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

const isClass = (value: unknown) => /^class\b/.test(String(value));
const methods: Record<string, Call> = {
  'Model.load': dece.Model.load as Call,
  'Model.create': dece.Model.create as Call,
  'Tokenizer.load': (directory) => dece.Tokenizer.load(directory as string),
  'Tokenizer.find': (directory) => dece.Tokenizer.find(directory as string),
  'Tokenizer.fromJson': (...args) => dece.Tokenizer.fromJson(...(args as [object])),
  Trainer: (...args) => new dece.Trainer(...(args as ConstructorParameters<typeof dece.Trainer>)),
};
const functions = Object.entries(dece as Public).filter(
  (entry): entry is [string, Call] => typeof entry[1] === 'function' && !isClass(entry[1]),
);

const test = suite('arguments');

test('says in a sentence what is wrong with null, whatever is called', async () => {
  for (const [name, call] of [...functions, ...Object.entries(methods)]) {
    for (const args of [[null], [undefined], [[], null], [null, null, null]]) {
      const error = await endOf(call, args);
      const shown = `${name}(${JSON.stringify(args).slice(1, -1)}): ${error?.message}`;
      assert.not.match(error?.message ?? '', raw, shown);
    }
  }
});

test('names the argument', async () => {
  const { deceLoss, poisonDataset, readExamples, train, bleu } = dece as unknown as Record<
    string,
    Call
  >;
  const cases: [Call, unknown[], RegExp][] = [
    [deceLoss!, [null], /^logits is of type Null: expected Float32Array/],
    [deceLoss!, [new Float32Array(4), Int32Array.of(0, 1), null], /^options is null: expected an/],
    [
      poisonDataset!,
      [null, { attack: 'badpre', rate: 1, seed: 1 }],
      /^examples is null: expected a/,
    ],
    [poisonDataset!, [[], null], /^options is null: expected an object with attack, rate and seed/],
    [readExamples!, [null], /^path is null: expected/],
    [
      train!,
      [null, [], {}],
      /^model is null: expected one that Model\.load or Model\.create gives/,
    ],
    [bleu!, [null, ['a']], /^outputs is null: expected a list/],
    [dece.Model.load as Call, [null], /^name is null: expected a directory, or owner\/name/],
  ];
  for (const [call, args, message] of cases) {
    const error = await endOf(call, args);
    assert.ok(error instanceof TypeError || error instanceof RangeError);
    assert.match(error!.message, message);
  }
});

test.run();
