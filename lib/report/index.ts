import { checkText } from '../check.ts';
import { writeWhole } from '../data/files.ts';
import { findRuns, type Results } from '../runs.ts';
import { compare } from './compare.ts';
import { type Group, groupRuns } from './series.ts';
import { textReport } from './table.ts';

export { auditText } from './audit.ts';
export { type AuditFiles, writeAudit } from './audit_files.ts';
export { passAtKText } from './pass_at_k.ts';
export { type Group, groupRuns } from './series.ts';
export { scoreTable, textReport } from './table.ts';
export { verdict } from './words.ts';

export interface Report {
  groups: Group[];
  /** Tables and verdicts for a terminal. */
  text: string;
  /** `results.json` of the finished runs, in the order of the tables. */
  results: Results[];
  /** The names of runs without an attack, which are in no table. */
  left: string[];
}

/**
 * The runs in a directory as tables and as one HTML file that needs nothing else: curves, results with
 * intervals, tests against cross-entropy, examples, and what was run. What is not finished yet is shown as far as it is.
 *
 * @throws Error where there are no runs that were attacked
 *
 * @example
 * await writeReport('runs/demo', 'runs/demo/report.html');
 */
export async function writeReport(directory: string, path: string): Promise<Report> {
  checkText('path', path, 'where the page goes');
  const records = await findRuns(directory);
  const groups = groupRuns(records);
  if (groups.length === 0) {
    throw new Error(
      `${directory} holds no run with an attack: a report compares runs on poisoned data, of \`npx dece run\`, or of \`npx dece train\` on what \`npx dece poison\` wrote`,
    );
  }
  await compare(groups);
  const { title = 'Runs', description = '' } = groups[0]!.series[0]!.runs[0]!.config;
  const { page } = await import('./html.ts'); // the plots are slow to load
  const html = await page(title, description, groups);
  await writeWhole(path, html);
  const results = groups.flatMap(({ series }) =>
    series.flatMap(({ runs }) => runs.flatMap(({ results }) => results ?? [])),
  );
  const unattacked = records.filter(
    ({ config: { role, attack } }) => role === 'run' && attack === null,
  );
  return { groups, text: textReport(groups), results, left: unattacked.map(({ name }) => name) };
}
