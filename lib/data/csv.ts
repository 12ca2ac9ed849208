import { CsvError, parse } from 'csv-parse';
import { show } from '../check.ts';
import { type Row, utf8Chunks } from './files.ts';
import { jsonText } from './jsonl.ts';

/**
 * The rows of a CSV file with a header, some at a time: commas, double quotes round fields that hold a
 * comma, a quote or a line end; lines end in U+000A or U+000D U+000A; blank lines are skipped. Every
 * value is text.
 *
 * @throws Error with path, line and column (the field's number and name) on what is not CSV
 */
export async function* readCsv(path: string): AsyncGenerator<Row[]> {
  let names: string[] | undefined;
  for await (const records of csvRecords(path)) {
    if (names === undefined && records.length > 0) names = namesOf(path, records.shift()!.fields);
    yield records.map(({ line, fields }) => ({
      line,
      values: Object.fromEntries(names!.map((name, i) => [name, fields[i]])),
    }));
  }
}

function namesOf(path: string, names: string[]): string[] {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw new Error(`${path} has two columns ${show(twice)}: expected every name once`);
}

interface CsvRecord {
  line: number;
  fields: string[];
}

async function* csvRecords(path: string): AsyncGenerator<CsvRecord[]> {
  let records: CsvRecord[] = [];
  let names: string[] = [];
  const lines = lineCounter();
  let start = 0;
  const parser = parse({
    record_delimiter: ['\r\n', '\n'],
    skip_empty_lines: true,
    on_record: (fields: string[], { bytes: end }) => {
      if (start === 0) names = fields;
      records.push({ line: lines.at(start), fields });
      start = end;
      return null;
    },
  });
  parser.on('error', () => {}); // the callbacks below have it
  const given = (give: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      give((error) => (error ? reject(error) : resolve()));
    });
  try {
    for await (const chunk of utf8Chunks(path)) {
      lines.add(chunk);
      await given((done) => parser.write(chunk, done));
      yield records;
      records = [];
    }
    await given((done) => parser.end(done));
    yield records;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Error(`${path}, line ${lines.at(start)}${explain(error, names)}`, { cause: error });
  } finally {
    parser.destroy();
  }
}

/** The line on which the record after byte `start` begins, blank lines left out; asked in rising order. */
function lineCounter() {
  let line = 1;
  let at = 0; // of `chunks`' first byte
  const chunks: Buffer[] = [];
  return {
    add: (chunk: Buffer) => chunks.push(chunk),
    at(start: number): number {
      while (chunks.length > 0) {
        const chunk = chunks[0]!;
        let i = 0;
        for (; i < chunk.length; i++) {
          if (at + i >= start && chunk[i] !== 10 && chunk[i] !== 13) break;
          if (chunk[i] === 10) line++;
        }
        at += i;
        if (i < chunk.length) {
          chunks[0] = chunk.subarray(i);
          return line;
        }
        chunks.shift();
      }
      return line;
    },
  };
}

function explain(error: CsvError, names: string[]): string {
  const column = Number(error.column);
  const called = names[column] ?? '';
  const name = called && ` (${/^[\w .-]{1,80}$/.test(called) ? called : show(called)})`;
  const field = `, column ${column + 1}${name}`;
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return `${field} opens a quote that is never closed: expected '"' at its end`;
    case 'INVALID_OPENING_QUOTE':
      return `${field} has a quote inside: expected the field in quotes, and its own quotes doubled`;
    case 'CSV_INVALID_CLOSING_QUOTE':
      return `${field} goes on after its closing quote: expected "," or the end of the line, and quotes inside doubled`;
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
      return `: the number of columns is ${column}, expected ${names.length} as in the first line`;
    default:
      return `${field} cannot be read: ${error.message}`;
  }
}

/**
 * The examples as CSV, with a column for every name that one of them has. Where a value is absent the
 * field is empty; what is no text is written as JSON.
 *
 * @throws RangeError on half a surrogate pair, which only JSON can hold
 */
export function csv(rows: readonly Record<string, unknown>[]): string {
  const names = [...new Set(rows.flatMap(Object.keys))];
  return csvLine(names) + rows.map((row) => csvLine(names.map((name) => row[name]))).join('');
}

/** Values as a line of CSV. Errors are those of `csv`. */
export const csvLine = (values: readonly unknown[]) => `${values.map(field).join(',')}\n`;

function field(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : jsonText(value);
  if (/\p{Surrogate}/u.test(text)) {
    throw new RangeError(
      `${show(text)} has half a surrogate pair: write JSON Lines, which can hold it`,
    );
  }
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
