import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, removeUnfinished } from '../data/files.ts';
import { lock } from '../lock.ts';
import type { Model } from '../model/index.ts';
import { checkpointName, Trainer } from '../model/trainer.ts';
import type { Settings } from './options.ts';

/** How far training has come. */
export interface Position {
  /** The epoch to go on with; one after the last when all is done. */
  epoch: number;
  /** Steps done, over all epochs. */
  step: number;
  /** Of this epoch so far. */
  tokens: number;
  /** The sum over these tokens. */
  lossSum: number;
  /** The mean of the epoch before; null in the first. */
  lastLoss: number | null;
  /** The step after which the validation loss was last measured. */
  evaluated: number;
  elapsedMs: number;
}

export const beginning: Readonly<Position> = {
  epoch: 1,
  step: 0,
  tokens: 0,
  lossSum: 0,
  lastLoss: null,
  evaluated: 0,
  elapsedMs: 0,
};

/** All that a run of train() starts with, besides what is in the weights and in the optimizer. */
export interface Inputs extends Settings {
  /** SHA-256 of the token ids. */
  examples: string;
}

interface Note {
  version: 1;
  position: Position;
  inputs: Inputs;
}

export interface State {
  trainer: Trainer;
  position: Position;
}

/** The one checkpoint of a directory, a file: the next replaces it as a whole or not at all. */
export class Checkpoints {
  readonly directory: string;
  readonly #inputs: Inputs;
  #unlock: (() => Promise<void>) | undefined;

  constructor(out: string, inputs: Inputs) {
    this.directory = join(out, 'checkpoints');
    this.#inputs = inputs;
  }

  /** @throws Error where another process trains into the directory; undone by `close` */
  async open(): Promise<void> {
    await makeDirectory(this.directory);
    this.#unlock = await lock(this.directory);
  }

  async close(): Promise<void> {
    await this.#unlock?.();
  }

  async save({ trainer, position }: State): Promise<void> {
    const note: Note = { version: 1, position, inputs: this.#inputs };
    await trainer.save(this.directory, JSON.stringify(note));
  }

  /**
   * The state that was saved, its weights put into `model`; undefined where there is none.
   *
   * @throws Error where there is one and `resume` is false, or where it was made of other inputs; the
   *   model is as it was then
   */
  async restore(model: Model, resume: boolean): Promise<State | undefined> {
    await removeUnfinished(this.directory);
    const found = await stat(join(this.directory, checkpointName)).catch(() => undefined);
    if (found === undefined) return undefined;
    if (!resume) {
      throw new Error(
        `${this.directory} holds a checkpoint: set resume to go on from it, or choose another out`,
      );
    }
    const position = this.#position(await Trainer.readNote(this.directory));
    return { position, trainer: await Trainer.restore(model, this.directory) };
  }

  #position(text: string): Position {
    const { version, position, inputs } = (text === '' ? {} : JSON.parse(text)) as Partial<Note>;
    if (version !== 1 || position === undefined || inputs === undefined) {
      throw new Error(
        `${this.directory} holds a checkpoint that is not of train(): choose another out`,
      );
    }
    for (const key of Object.keys(this.#inputs) as (keyof Inputs)[]) {
      const [before, now] = [inputs[key], this.#inputs[key]].map((value) => JSON.stringify(value));
      if (before === now) continue;
      const was = key === 'examples' ? 'with other examples' : `with ${key} ${before}, now ${now}`;
      throw new Error(
        `${this.directory} holds a checkpoint made ${was}: expected the same, or choose another out`,
      );
    }
    return position;
  }
}
