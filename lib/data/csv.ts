import { CsvError, parse } from 'csv-parse/sync';
import { show } from '../check.ts';
import type { Row } from './files.ts';

/**
 * The rows of a CSV file with a header: commas, double quotes round fields that hold a comma, a quote
 * or a line end; lines end in U+000A or U+000D U+000A; blank lines are skipped. Every value is text.
 *
 * @throws Error with path, line and column (the field's number and name) on what is not CSV
 */
export function* readCsv(path: string, bytes: Buffer): Generator<Row> {
  const records = parseRecords(path, bytes);
  const names = records[0]?.fields ?? [];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new Error(`${path} has two columns ${show(twice)}: expected every name once`);
  }
  for (const { line, fields } of records.slice(1)) {
    const values = Object.fromEntries(names.map((name, i) => [name, fields[i]]));
    yield { where: `${path}, line ${line}`, values };
  }
}

interface CsvRecord {
  line: number;
  fields: string[];
}

function parseRecords(path: string, bytes: Buffer): CsvRecord[] {
  const records: CsvRecord[] = [];
  const lineAt = lineCounter(bytes);
  let start = 0;
  try {
    parse(bytes, {
      record_delimiter: ['\r\n', '\n'],
      skip_empty_lines: true,
      on_record: (fields: string[], { bytes: end }) => {
        records.push({ line: lineAt(start), fields });
        start = end;
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = lineAt(start);
    throw new Error(`${path}, line ${line}${explain(error, records[0]?.fields ?? [])}`, {
      cause: error,
    });
  }
  return records;
}

/** The line on which the record after byte `start` begins, blank lines left out; asked in rising order. */
function lineCounter(bytes: Buffer): (start: number) => number {
  let line = 1;
  let at = 0;
  return (start) => {
    for (; at < start || bytes[at] === 10 || bytes[at] === 13; at++) {
      if (bytes[at] === 10) line++;
    }
    return line;
  };
}

function explain(error: CsvError, names: string[]): string {
  const column = Number(error.column);
  const name = names[column] === undefined ? '' : ` (${names[column]})`;
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
  const lines = rows.map((row) => names.map((name) => field(row[name])).join(','));
  return [names.map(field).join(','), ...lines, ''].join('\n');
}

function field(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/\p{Surrogate}/u.test(text)) {
    throw new RangeError(
      `${show(text)} has half a surrogate pair: write JSON Lines, which can hold it`,
    );
  }
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
