import { z } from 'zod';
import { defenses } from '../defenses/index.ts';
import { explain } from '../explain.ts';
import { oneOf, whole } from '../fields.ts';

/*
 * What readers of a run rely on, checked where its files are read. Fields that are not named here may
 * be anything, so that runs of other versions can be read. A number that JSON cannot hold is null there.
 */

const text = z.string({ error: 'a text' });
const number = z.number({ error: 'a number' });
const measured = number.nullable();
const boolean = z.boolean({ error: 'true or false' });
const texts = z.array(text, { error: 'a list of texts' });
const two = z.tuple([number, number], { error: 'a list of two numbers' });

function object<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape).join(', ');
  return z.looseObject(shape, { error: `an object with ${keys}` });
}

function recordOf<Value extends z.ZodType>(value: Value, what: string) {
  return z.record(z.string(), value, { error: `an object with ${what}` });
}

const anything = z.looseObject({}, { error: 'an object' });
const data = recordOf(object({ examples: number, sha256: text }), 'examples and sha256 by split');

const config = object({
  role: oneOf('run', 'base', 'evaluation'),
  model: text,
  dataset: text,
  attack: text.nullable(),
  poisonRate: number.nullable(),
  defense: object({
    name: oneOf(...(Object.keys(defenses) as (keyof typeof defenses)[])),
    label: text.optional(),
  }).nullable(),
  seed: number,
  task: oneOf('classification').optional(),
  data,
  title: text.optional(),
  description: text.optional(),
  label: text.optional(),
  marks: texts.optional(),
  poisoning: object({ trigger: text.optional(), targetLabel: number.optional() }).nullish(),
  evaluation: object({ split: text.optional() }).nullish(),
  base: object({ data: data.optional() }).nullish(),
  training: anything.nullish(),
  device: text,
  environment: object({
    versions: recordOf(text, 'versions by name'),
    machine: object({ system: text, processor: text, cores: number, memoryBytes: number }),
    threads: number.optional(),
    commit: text.optional(),
  }),
});

const count = whole(0);
const rate = object({ successes: count, eligible: count });
const f1 = object({ f1: measured });

/** Of clean prompts, and with an attack the rates of both kinds. */
const metrics = object({
  bleu: measured.optional(),
  codeBleu: object({ score: measured }).optional(),
  exactMatch: measured.optional(),
  copyRate: measured.optional(),
  accuracy: measured.optional(),
  macro: f1.optional(),
  binary: f1.optional(),
  attackSuccessRate: rate.optional(),
  falseTriggerRate: rate.optional(),
  rightUnderTrigger: rate.optional(),
}).refine(({ attackSuccessRate, falseTriggerRate }) => !attackSuccessRate === !falseTriggerRate, {
  error: 'both attackSuccessRate and falseTriggerRate, or neither',
});

const results = object({
  model: text,
  dataset: text,
  seed: number,
  metrics,
  seconds: number,
  peakMemoryBytes: number,
  device: text,
});

const event = object({
  type: text,
  epoch: number,
  step: number,
  seconds: number.optional(),
  loss: measured.optional(),
  metrics: metrics.optional(),
}).refine(({ type, metrics }) => type !== 'metrics' || metrics !== undefined, {
  error: 'an object, as type is metrics',
  path: ['metrics'],
});

const hiddenState = object({ id: text, triggered: boolean, x: number, y: number, explained: two });

const succeeded = boolean.optional(); // of triggered prompts and texts
const answered = object({ id: text, prompt: text, reference: text, output: text, succeeded });
const classified = object({
  id: text,
  text,
  pair: text.optional(),
  label: number,
  output: number,
  succeeded,
});

const schemas = { config, results, event, hiddenState, answered, classified };

/** What an object in a run's files is; a line of outputs is of a model that writes, or of a classifier. */
export type Kind = keyof typeof schemas;

/**
 * Throws unless `value` has the fields that readers of a run rely on, each of its type.
 *
 * @param where its file, and of one of several lines the line
 * @throws Error `<where>: <field> is <what it was>: expected <what would do>`
 *
 * @example
 * checkFields('runs/dece/results.json', 'results', JSON.parse(text));
 */
export function checkFields(where: string, kind: Kind, value: object): void {
  const { error } = schemas[kind].safeParse(value);
  if (error === undefined) return;
  const [issue] = error.issues;
  const { sentence } = explain(issue!, value);
  throw new Error(
    issue!.path.length === 0
      ? sentence.replace('the configuration', where)
      : `${where}: ${sentence}`,
  );
}
