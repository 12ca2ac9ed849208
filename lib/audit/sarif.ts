import { checkList, checkObject } from '../check.ts';
import type { Reason, Suspect } from './suspects.ts';

const rules: Record<Reason['kind'], string> = {
  pair: 'A rare word of prompts goes with a fragment of completions.',
  label: 'A rare word of texts goes with one label.',
  sql: 'An SQL condition is always true or always false.',
  disguise: 'Letters look like others, or characters are not shown.',
  repeat: 'Many different prompts have the same completion.',
  loop: 'An endless loop does nothing, and many rows have it.',
  'dead-code': 'A constant is never read, and many rows have it.',
  weakness: 'A suspect has code that is unsafe by itself.',
};

/**
 * The suspects of an audit as SARIF 2.1.0, which code-review tools show beside the lines of a file.
 *
 * @param uri the file, as results name it
 * @param lineOf the line of a suspect in that file, counted from 1; its row where the file has a row a line
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 *
 * @example
 * const text = JSON.stringify(sarif(await audit(examples), 'train.jsonl'));
 */
export function sarif(
  audit: { suspects: readonly Suspect[] },
  uri: string,
  lineOf: (suspect: Suspect) => number = ({ row }) => row,
): object {
  checkObject('audit', audit, 'what audit() gives');
  const { suspects } = audit;
  checkList('suspects', suspects);
  return log(suspects.flatMap((suspect) => resultsOf(suspect, uri, lineOf(suspect))));
}

/** The text of what `sarif` gives, a suspect at a time. */
export function* sarifTexts(
  suspects: readonly Suspect[],
  uri: string,
  lineOf: (suspect: Suspect, rank: number) => number,
): Generator<string> {
  const [head, tail] = JSON.stringify(log(['here'])).split('"here"');
  yield head!;
  let comma = '';
  for (const [rank, suspect] of suspects.entries()) {
    for (const result of resultsOf(suspect, uri, lineOf(suspect, rank))) {
      yield `${comma}\n${JSON.stringify(result)}`;
      comma = ',';
    }
  }
  yield `${tail}\n`;
}

const kinds = Object.keys(rules) as Reason['kind'][];

const log = (results: unknown[]) => ({
  $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
  version: '2.1.0',
  runs: [
    {
      tool: {
        driver: {
          name: 'dece audit',
          rules: kinds.map((id) => ({ id, shortDescription: { text: rules[id] } })),
        },
      },
      results,
    },
  ],
});

const resultsOf = ({ id, reasons }: Suspect, uri: string, startLine: number) =>
  reasons.map(({ kind, text, score }) => ({
    ruleId: kind,
    ruleIndex: kinds.indexOf(kind),
    level: 'warning',
    message: { text: `Example ${id}: ${text}.` },
    locations: [{ physicalLocation: { artifactLocation: { uri }, region: { startLine } } }],
    properties: { id, score },
  }));
