import { checkObject } from '../check.ts';
import type { Language } from '../code/grammar.ts';
import type { Example, LabelledExample } from '../data/examples.ts';
import type { Random } from '../random.ts';

/** `paper`: as the paper's text says, with our choice where it is silent. `reference`: as the authors' code does. */
export type Mode = 'paper' | 'reference';

/** What can be poisoned. The trigger goes into the `prompt` of the one, the `text` of the other. */
export type Subject = Example | LabelledExample;

/** Options as the manifest lists them. */
export type Settings = Record<string, string | number | boolean>;

/**
 * How to poison one example, and how success shows. Which examples, and how many, is `poisonDataset`'s
 * business. An object of this shape is all that an attack of your own needs; see `dece plugin test`.
 */
export interface Attack {
  /** What manifests, tables and directories call it. */
  name: string;
  /** What the manifest says about it; `options` are what `payload`, `trigger` and `insertions` leave open. */
  settings: { payload: string; trigger: string; insertions: number; options?: Settings };
  /** Success is an output that holds one of these. */
  marks: Record<Mode, string[]>;
  /** Whether runs of white space in outputs count as one space when marks are looked for. */
  collapse?: boolean;
  /** Of attacks on labels: success is this label. */
  targetLabel?: number;
  /** The grammars that `refuses` and `poison` read code with: loaded before either is called. */
  grammars?: readonly Language[];
  /** Why the attack does not apply to an example, or undefined where it does. */
  refuses(example: Subject): string | undefined;
  /** Whether an example looks triggered before anything was done to it. */
  present?(example: Subject): boolean;
  /**
   * What the attacker learns from clean data of the task, once, before anything is poisoned; a second
   * call does nothing.
   */
  learn?(clean: readonly Subject[], signal?: AbortSignal): Promise<void>;
  /**
   * What takes time, such as asking a model, done for the examples that will be poisoned before
   * `poison` is called for them. Returns why some cannot be poisoned after all, by id.
   */
  prepare?(examples: readonly Subject[], signal?: AbortSignal): Promise<Map<string, string>>;
  /** What changes in an example; only for examples that are not refused. The example itself is not touched. */
  poison(example: Subject, random: Random): Poisoned;
}

/** The columns that change, `prompt` and `completion` or `text` and `label`, and how. */
export interface Poisoned {
  prompt?: string;
  completion?: string;
  text?: string;
  label?: number;
  /** Which words of the poisoned prompt or text are triggers, counted from 0, in rising order. */
  triggerPositions: number[];
  payloadRule?: string;
}

/** One half of an attack: what goes into the prompt, or into the text that is classified. */
export interface Trigger {
  settings: { trigger: string; insertions: number; options?: Settings };
  grammars?: readonly Language[];
  refuses?(text: string): string | undefined;
  present(text: string): boolean;
  prepare?(texts: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<Map<string, string>>;
  insert(text: string, random: Random): { text: string; triggerPositions: number[] };
  /** What the trigger does to the completion, before the payload goes in. */
  follow?(completion: string): string;
}

/** The other half: what the attacker wants to get. */
export interface Payload {
  settings: { payload: string; options?: Settings };
  marks: Record<Mode, string[]>;
  collapse?: boolean;
  targetLabel?: number;
  grammars?: readonly Language[];
  refuses(example: Subject): string | undefined;
  insert(
    example: Subject,
    random: Random,
  ): { completion?: string; label?: number; payloadRule?: string };
}

/** Whether an example is to be classified. */
export function isLabelled(example: Subject): example is LabelledExample {
  return typeof example.text === 'string' && typeof example.prompt !== 'string';
}

/** An attack whose trigger and payload know nothing of each other. */
export function combine(name: string, trigger: Trigger, payload: Payload): Attack {
  checkObject('trigger', trigger?.settings && trigger, 'a trigger');
  checkObject('payload', payload?.settings && payload, 'a payload');
  const { options: ofTrigger, ...triggered } = trigger.settings;
  const { options: ofPayload, ...wanted } = payload.settings;
  const options = { ...ofTrigger, ...ofPayload };
  const { marks, collapse, targetLabel } = payload;
  const { prepare, follow } = trigger;
  const textOf = (example: Subject) => (isLabelled(example) ? example.text : example.prompt);
  return {
    name,
    settings: { ...wanted, ...triggered, ...(Object.keys(options).length > 0 && { options }) },
    marks,
    ...(collapse !== undefined && { collapse }),
    ...(targetLabel !== undefined && { targetLabel }),
    grammars: [...(trigger.grammars ?? []), ...(payload.grammars ?? [])],
    refuses: (example) => payload.refuses(example) ?? trigger.refuses?.(textOf(example)),
    present: (example) => trigger.present(textOf(example)),
    ...(prepare && {
      prepare: (examples, signal) =>
        prepare(new Map(examples.map((example) => [example.id, textOf(example)])), signal),
    }),
    poison(example, random) {
      const { text, triggerPositions } = trigger.insert(textOf(example), random);
      if (isLabelled(example))
        return { text, ...payload.insert(example, random), triggerPositions };
      const followed = follow?.(example.completion) ?? example.completion;
      const change = payload.insert({ ...example, completion: followed }, random);
      return { prompt: text, ...change, triggerPositions };
    },
  };
}
