import { firstBy, type ModelAudit } from '../audit/evidence.ts';
import type { Audit, Suspect } from '../audit/index.ts';
import { align } from './table.ts';

const shown = 10;

/**
 * An audit as text for a terminal: the triggers found, the most suspect examples, those of the same reasons
 * together, and what a model learnt first.
 */
export function auditText(audit: Audit, model?: ModelAudit): string {
  const { data, examples, minRows, falsePositiveRate, pairs, suspects, weaknesses } = audit;
  const found =
    suspects.length > 0
      ? `${suspects.length} of ${examples} examples look like poison`
      : `none of ${examples} examples looks like poison`;
  const limits = `Triggers in ${minRows} rows or more; by chance alone a pair is reported with p ≤ ${falsePositiveRate}.`;
  const parts = [
    found,
    ...(pairs.length > 0 ? [pairTable(pairs.slice(0, shown), data)] : []),
    ...suspectList(suspects),
    ...(weaknesses.length > 0 ? [weaknessTable(weaknesses)] : []),
    ...(model ? [modelTable(model)] : []),
    limits,
  ];
  return parts.join('\n\n');
}

function pairTable(pairs: Audit['pairs'], data: Audit['data']): string {
  const payload = data === 'labelled' ? 'label' : 'payload';
  const header = [`trigger → ${payload}`, 'together', 'trigger', payload, 'lift', 'corrected p'];
  const rows = pairs.map((pair) => [
    `${JSON.stringify(pair.trigger)} → ${JSON.stringify(pair.payload)}`,
    `${pair.together}`,
    `${pair.triggerRows}`,
    `${pair.payloadRows}`,
    pair.lift.toFixed(1),
    `≤ 1e${Math.ceil(pair.log10P)}`,
  ]);
  return align([header, ...rows]);
}

function weaknessTable(weaknesses: Audit['weaknesses']): string {
  const rows = weaknesses.map(({ rule, name, rows, firstRow }) => [
    `${rule}, ${name}`,
    `${rows}`,
    `${firstRow}`,
  ]);
  return align([['unsafe, poison or not', 'rows', 'first row'], ...rows]);
}

function modelTable({ rows }: ModelAudit): string {
  const header = ['learnt by the model, no suspects for it', 'nats', 'row', 'id'];
  const lines = firstBy(rows, 'learntRank', shown).map(({ learntText, learnt, row, id }) => [
    JSON.stringify(learntText),
    learnt.toFixed(2),
    `${row}`,
    JSON.stringify(id),
  ]);
  return align([header, ...lines]);
}

/** The first groups of suspects, and how many there are beside. */
function suspectList(suspects: readonly Suspect[]): string[] {
  if (suspects.length === 0) return [];
  const groups = new Map<string, Suspect[]>();
  let others = 0;
  for (const suspect of suspects) {
    const key = suspect.reasons.map(({ text }) => text).join('\n');
    const group = groups.get(key);
    if (group) group.push(suspect);
    else if (groups.size < shown) groups.set(key, [suspect]);
    else others++;
  }
  const list = [...groups.values()].map(groupText).join('\n');
  return [list, ...(others > 0 ? [`and ${others} more`] : [])];
}

/** Suspects of the same reasons. */
function groupText(group: readonly Suspect[]): string {
  const [{ id, row, score, reasons }] = group as [Suspect];
  const all = group.map((suspect) => suspect.row).sort((a, b) => a - b);
  const rows = all.slice(0, shown);
  const others = group.length - rows.length;
  const which =
    group.length === 1
      ? `row ${row}, id ${JSON.stringify(id)}`
      : `${group.length} rows: ${rows.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
  const lines = reasons.map(({ text }) => `        ${text}`);
  return [`${score.toFixed(1).padStart(6)}  ${which}`, ...lines].join('\n');
}
