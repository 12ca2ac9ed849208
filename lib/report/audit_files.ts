import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { evidenceOf, firstBy, type ModelAudit } from '../audit/evidence.ts';
import type { Audit } from '../audit/index.ts';
import { sarifTexts } from '../audit/sarif.ts';
import {
  type Example,
  type LabelledExample,
  streamWithLines,
  writeExamples,
} from '../data/examples.ts';
import { makeDirectory, sameFile, writeWhole } from '../data/files.ts';
import { jsonLine } from '../data/jsonl.ts';
import { auditPage, type ShownSuspect, type Texts } from './audit_page.ts';

export interface AuditFiles {
  /** What the model tells of every row, the most learnt first. */
  scores?: string;
  clean: string;
  suspects: string;
  sarif: string;
  page: string;
}

/** So many suspects are on the page. */
const shown = 50;

/**
 * Writes what an audit found of a file into `out`: a copy without the suspects (as JSON Lines where the
 * file is Parquet), the suspects with their texts, ranked, SARIF, and a page for people. The file is walked as
 * it was for the audit, and not held. With what a model tells, that too.
 *
 * @throws RangeError where one of them would take the place of the file itself; Error where a file cannot be
 *   written
 */
export async function writeAudit(
  out: string,
  input: string,
  audit: Audit,
  model?: ModelAudit,
): Promise<AuditFiles> {
  const { suspects } = audit;
  const scores = join(out, 'scores.jsonl');
  const ending = /\.[^./\\]+(\.gz)?$/i.exec(input)![0].replace(/^\.parquet$/i, '.jsonl');
  const files = {
    clean: join(out, `clean${ending.replace(/^\.parquet\.gz$/i, '.jsonl.gz')}`),
    suspects: join(out, 'suspects.jsonl'),
    sarif: join(out, 'audit.sarif'),
    page: join(out, 'audit.html'),
    ...(model && { scores }),
  };
  for (const path of [...Object.values(files), scores]) {
    if (!(await sameFile(path, input))) continue;
    throw new RangeError(`${path} is the input itself: expected another directory to write to`);
  }
  await makeDirectory(out);
  const texts = await spool(out, suspects.length);
  try {
    const { kept, lines } = split(input, audit, texts, model);
    await writeExamples(files.clean, kept, { input });
    await writeWhole(files.suspects, texts.inOrder());
    const lineOf = new Map(suspects.map((suspect, i) => [suspect, lines[i]!]));
    await writeWhole(
      files.sarif,
      sarifTexts(suspects, uriOf(input), (one) => lineOf.get(one)!),
    );
    const first: ShownSuspect[] = [];
    for await (const text of texts.inOrder(shown)) first.push(JSON.parse(text));
    await writeWhole(files.page, auditPage(input, audit, first, model));
    if (model) {
      const ranked = firstBy(model.rows, 'learntRank', model.rows.length);
      await writeWhole(scores, ranked.map(jsonLine));
    } else {
      // Those of an earlier audit would seem to belong to this one.
      await rm(scores, { force: true });
    }
  } finally {
    await texts.close();
  }
  return files;
}

/** The examples that are no suspects. While they are walked, suspects go to the spool, and their lines are noted. */
function split(input: string, { data, suspects }: Audit, texts: Spool, model?: ModelAudit) {
  const byRow = Uint32Array.from(suspects.keys()).sort(
    (a, b) => suspects[a]!.row - suspects[b]!.row,
  );
  const lines = new Float64Array(suspects.length);
  async function* walk() {
    let next = 0;
    let row = 0;
    for await (const { line, example } of streamWithLines(input, {
      labelled: data === 'labelled',
    })) {
      row++;
      const rank = byRow[next];
      if (rank === undefined || suspects[rank]!.row !== row) {
        yield example;
        continue;
      }
      const told = model && { model: evidenceOf(model.rows[row - 1]!) };
      await texts.put(rank, jsonLine({ ...suspects[rank]!, ...told, ...textsOf(example, data) }));
      lines[rank] = line;
      next++;
    }
  }
  return { kept: { [Symbol.asyncIterator]: walk }, lines };
}

function textsOf(example: Example | LabelledExample, data: Audit['data']): Texts {
  const { prompt, completion, text, pair, label } = example as Example & LabelledExample;
  if (data === 'examples') return { prompt, completion };
  return { text, ...(pair !== undefined && { pair }), label };
}

/** Texts on the disk, put there in any order and read in that of their numbers. */
interface Spool {
  /** Puts a text once; the second time nothing happens. */
  put(i: number, text: string): Promise<void>;
  inOrder(most?: number): AsyncIterable<string>;
  close(): Promise<void>;
}

async function spool(directory: string, count: number): Promise<Spool> {
  const folder = await mkdtemp(join(directory, 'suspects.tmp-'));
  const file: FileHandle = await open(join(folder, 'texts'), 'w+');
  const starts = new Float64Array(count).fill(-1);
  const lengths = new Uint32Array(count);
  let end = 0;
  async function* inOrder(most = count) {
    for (const [i, start] of starts.subarray(0, most).entries()) {
      const bytes = Buffer.alloc(lengths[i]!);
      await file.read(bytes, 0, bytes.length, start);
      yield bytes.toString();
    }
  }
  return {
    async put(i, text) {
      if (starts[i] !== -1) return;
      const bytes = Buffer.from(text);
      starts[i] = end;
      lengths[i] = bytes.length;
      end += bytes.length;
      await file.write(bytes, 0, bytes.length, starts[i]);
    },
    inOrder,
    async close() {
      await file.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const uriOf = (path: string) =>
  isAbsolute(path)
    ? pathToFileURL(path).href
    : path.split(/[\\/]/).map(encodeURIComponent).join('/');
