import { appendFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkObject, checkText, show } from './check.ts';
import { makeDirectory, orExplain, readUtf8, removeUnfinished, writeWhole } from './data/files.ts';
import { jsonLines } from './data/jsonl.ts';
import type { DefenseConfig } from './defenses/index.ts';
import type { Environment } from './environment.ts';
import { lock } from './lock.ts';
import { checkFields, type Kind } from './runs/schema.ts';

export { type Environment, environment, peakMemoryBytes, resetPeakMemory } from './environment.ts';

/** What decides how a run ends. A run is continued only with the same settings. */
export interface Settings {
  /** `base`: clean training of the model that runs start from. `evaluation`: no training at all. */
  role: 'run' | 'base' | 'evaluation';
  model: string;
  dataset: string;
  attack: string | null;
  poisonRate: number | null;
  /** Null where it is not known. */
  defense: DefenseConfig | null;
  seed: number;
  /** Of a classifier; a model that writes has none. */
  task?: 'classification';
  /** By split: how many examples, and the SHA-256 of their texts. */
  data: Record<string, { examples: number; sha256: string }>;
  [setting: string]: unknown;
}

/** `config.json` of a run. */
export interface RunConfig extends Settings {
  /** What a report calls the experiment, and says about it. */
  title?: string;
  description?: string;
  device: string;
  environment: Environment;
}

/** `results.json` of a run. */
export interface Results {
  model: string;
  dataset: string;
  attack: string | null;
  poisonRate: number | null;
  defense: string | null;
  /** The options of the defense, which tell two runs with one defense apart. */
  defenseOptions: Record<string, unknown>;
  seed: number;
  metrics: Record<string, unknown>;
  seconds: number;
  peakMemoryBytes: number;
  device: string;
}

/** A line of `events.jsonl`: what training reports, and what was measured in between. */
export interface RunEvent {
  type: string;
  epoch: number;
  step: number;
  [value: string]: unknown;
}

/** A run directory that this process writes. */
export interface Run {
  directory: string;
  /** Appends to `events.jsonl`, with the seconds the run has taken so far, over all its sessions. */
  record(event: RunEvent): Promise<void>;
  /** Drops the events that do not pass: a resumed run repeats them. */
  rewind(keep: (event: RunEvent) => boolean): Promise<void>;
  writeOutputs(name: string, rows: readonly object[]): Promise<void>;
  /** Writes `results.json`, which makes the run a finished one. */
  finish(results: Omit<Results, 'seconds'>): Promise<Results>;
  close(): Promise<void>;
}

/**
 * Begins a run in `directory`, or goes on with one that was interrupted there.
 *
 * The layout: `config.json` · `events.jsonl`, a line per event · `outputs/*.jsonl` · `checkpoints/` ·
 * `model/` · `results.json`, written last.
 *
 * @throws Error where another process writes there, or a run with other settings is there
 */
export async function openRun(directory: string, config: RunConfig): Promise<Run> {
  checkText('directory', directory, 'a path');
  checkObject('config', config);
  await makeDirectory(directory);
  const unlock = await lock(directory);
  try {
    for (const folder of ['', 'model', 'outputs']) await removeUnfinished(join(directory, folder));
    await claim(directory, config);
    return await writer(directory, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** A run directory as it was left. */
export interface RunRecord {
  name: string;
  directory: string;
  config: RunConfig;
  events: RunEvent[];
  /** Absent while the run is not finished. */
  results?: Results;
  /** Of `dece evaluate` on the run's model, where that was left in its usual place. */
  evaluation?: Results;
  /** How that was measured. */
  evaluated?: RunConfig;
}

/**
 * The run in `directory`, or undefined where there is none.
 *
 * @throws Error that names the file and the field where one is not as runs write it
 */
export async function readRun(directory: string): Promise<RunRecord | undefined> {
  checkText('directory', directory, 'a path');
  const config = await readConfig(directory);
  if (config?.role === undefined) return undefined; // not there, or of a model
  const results = await readResults(join(directory, 'results.json'));
  const beside = join(directory, 'model-evaluation');
  const evaluation = await readResults(join(beside, 'results.json'));
  const measured = join(beside, 'config.json');
  const evaluated = evaluation && (await readJson<RunConfig>(measured));
  if (evaluated) checkFields(measured, 'config', evaluated);
  return {
    name: basename(directory),
    directory,
    config,
    events: await readEvents(directory),
    ...(results !== undefined && { results }),
    ...(evaluation !== undefined && { evaluation }),
    ...(evaluated !== undefined && { evaluated }),
  };
}

/**
 * The run in `directory`, or those in the folders in it, in the order of their names.
 *
 * @throws Error where there is none
 */
export async function findRuns(directory: string): Promise<RunRecord[]> {
  const own = await readRun(directory);
  if (own !== undefined) return [own];
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const runs = await Promise.all(names.sort().map((name) => readRun(join(directory, name))));
  const found = runs.filter((run) => run !== undefined);
  if (found.length === 0) {
    throw new Error(
      `${directory} holds no runs: make some with \`npx dece run\` or \`npx dece train\``,
    );
  }
  return found;
}

/** The outputs of a run called `name`, or undefined where they have not been written. */
export async function readOutputs<Row>(
  directory: string,
  name: string,
  kind: Kind | 'answer' = 'answer',
): Promise<Row[] | undefined> {
  const path = join(directory, 'outputs', `${name}.jsonl`);
  const text = await readIfThere(path);
  return text === undefined ? undefined : parseLines<Row>(path, text, kind);
}

/**
 * Writes config.json where there is none yet; otherwise the settings have to be the same. An evaluation
 * that did not end has nothing to go on with: another may take its place.
 */
async function claim(directory: string, config: RunConfig): Promise<void> {
  const path = join(directory, 'config.json');
  const there = await readConfig(directory);
  const finished = async () => (await readIfThere(join(directory, 'results.json'))) !== undefined;
  const isFree =
    there === undefined ||
    (there.role === 'evaluation' && !(await finished())) ||
    (there.role === 'run' && !(await hasBegun(directory)));
  if (isFree) {
    await writeWhole(path, asJson(config));
    return;
  }
  if (there.role === undefined) {
    throw new Error(`${path} is not of a run: choose another directory`);
  }
  const [before, now] = [there, config].map((found) => flat(settingsOf(found))) as [
    Map<string, string>,
    Map<string, string>,
  ];
  for (const key of new Set([...before.keys(), ...now.keys()])) {
    if (before.get(key) === now.get(key)) continue;
    throw new Error(
      `${directory} holds a run with ${key} ${before.get(key) ?? 'unset'}, now it is ` +
        `${now.get(key) ?? 'unset'}: choose another directory, or delete this one to begin again`,
    );
  }
}

/** Whether a run got as far as its first event: what was refused before leaves nothing to go on with. */
async function hasBegun(directory: string): Promise<boolean> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const own = ['config.json', 'events.jsonl', 'lock'];
  const isEmpty = found.every((entry) => entry.isDirectory() || own.includes(entry.name));
  return !isEmpty || (await readEvents(directory)).length > 0;
}

/** What is left of a configuration without what does not decide how a run ends. */
function settingsOf(config: RunConfig): unknown {
  const { environment: _, device: __, title: ___, description: ____, ...settings } = config;
  return JSON.parse(JSON.stringify(settings));
}

async function writer(directory: string, unlock: () => Promise<void>): Promise<Run> {
  const path = join(directory, 'events.jsonl');
  const rewrite = (events: readonly RunEvent[]) => writeWhole(path, jsonLines(events));
  const kept = await readEvents(directory);
  await rewrite(kept); // without a last line that was cut short
  let before = secondsOf(kept);
  const begun = performance.now();
  const seconds = () => Math.round(1e3 * before + performance.now() - begun) / 1e3;

  return {
    directory,
    record(event) {
      const line = jsonLines([{ ...event, seconds: seconds() }]);
      return orExplain(`cannot write ${path}`, appendFile(path, line));
    },
    async rewind(keep) {
      const events = (await readEvents(directory)).filter(keep);
      before = Math.min(before, secondsOf(events));
      await rewrite(events);
    },
    async writeOutputs(name, rows) {
      await makeDirectory(join(directory, 'outputs'));
      await writeWhole(join(directory, 'outputs', `${name}.jsonl`), jsonLines(rows));
    },
    async finish(results) {
      const complete = { ...results, seconds: seconds() };
      await writeWhole(join(directory, 'results.json'), asJson(complete));
      return complete;
    },
    close: unlock,
  };
}

const secondsOf = (events: readonly RunEvent[]) => Number(events.at(-1)?.seconds ?? 0);

async function readEvents(directory: string): Promise<RunEvent[]> {
  const path = join(directory, 'events.jsonl');
  return parseLines<RunEvent>(path, (await readIfThere(path)) ?? '', 'event');
}

/** One object a line; a last line that a killed process left unfinished does not count. */
function parseLines<Row>(path: string, text: string, kind: Kind | 'answer'): Row[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, i) => {
    const where = `${path}, line ${i + 1}`;
    const row = parse<Row & object>(where, line);
    const answer = 'label' in row ? 'classified' : 'answered';
    checkFields(where, kind === 'answer' ? answer : kind, row);
    return row;
  });
}

async function readResults(path: string): Promise<Results | undefined> {
  const results = await readJson<Results>(path);
  if (results) checkFields(path, 'results', results);
  return results;
}

/** `config.json` in `directory`; one without a role is of a model, and is not looked at closer. */
async function readConfig(directory: string): Promise<RunConfig | undefined> {
  const path = join(directory, 'config.json');
  const config = await readJson<RunConfig>(path);
  if (config?.role !== undefined) checkFields(path, 'config', config);
  return config;
}

async function readJson<Value>(path: string): Promise<Value | undefined> {
  const text = await readIfThere(path);
  return text === undefined ? undefined : parse<Value>(path, text);
}

function parse<Value>(where: string, text: string): Value {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  checkObject(where, value);
  return value as Value;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readUtf8(path)).toString();
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

const asJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** The leaves of a JSON value by their path, as an error message shows them. */
function flat(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path, show(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...flat(inner, path === '' ? key : `${path}.${key}`),
    ]),
  );
}
