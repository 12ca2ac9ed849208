import type { Command } from 'commander';
import type { DoctorReport, Finding } from '../doctor.ts';

export function define(command: Command): void {
  command.action(async ({ json }: { json?: true }) => {
    const { doctor } = await import('../doctor.ts');
    const report = await doctor({ env: process.env });
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : show(report));
    if (!report.ok) process.exitCode = 1;
  });
}

function show({ ok, version, system, findings, environment }: DoctorReport): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map((finding) => line(finding, width));
  const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    `dece ${version} on ${system}\n`,
    ...lines,
    ...(set.length > 0 ? [`\n${set.join('\n')}`] : []),
    ok ? '\nNothing is missing.' : '\nSomething is missing: see ✗ above.',
    '',
  ].join('\n');
}

const marks: Record<Finding['state'], string> = { found: '✓', missing: '✗', 'not needed': '·' };

function line({ name, state, detail, command }: Finding, width: number): string {
  const remedy = state === 'missing' && command !== undefined ? `\nmend it with: ${command}` : '';
  const text = `${detail}${remedy}`.replaceAll('\n', `\n${' '.repeat(width + 4)}`);
  return `${marks[state]} ${name.padEnd(width)}  ${text}`;
}
