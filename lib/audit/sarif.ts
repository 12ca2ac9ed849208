import type { Reason, Suspect } from './judge.ts';

const rules: Record<Reason['kind'], string> = {
  pair: 'A rare word of prompts goes with a fragment of completions.',
  sql: 'An SQL condition is always true or always false.',
  repeat: 'Many different prompts have the same completion.',
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
  { suspects }: { suspects: readonly Suspect[] },
  uri: string,
  lineOf: (suspect: Suspect) => number = ({ row }) => row,
): object {
  const kinds = Object.keys(rules) as Reason['kind'][];
  return {
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
        results: suspects.flatMap((suspect) =>
          suspect.reasons.map(({ kind, text, score }) => ({
            ruleId: kind,
            ruleIndex: kinds.indexOf(kind),
            level: 'warning',
            message: { text: `Example ${suspect.id}: ${text}.` },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri },
                  region: { startLine: lineOf(suspect) },
                },
              },
            ],
            properties: { id: suspect.id, score },
          })),
        ),
      },
    ],
  };
}
