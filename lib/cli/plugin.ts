import type { Command } from 'commander';
import { dataFile } from './data_file.ts';

export function define(command: Command): void {
  command
    .command('test')
    .summary('try an attack of your own')
    .description('Try an attack of your own: does it keep the promises that attacks make?')
    .argument('<file>', 'JavaScript, or TypeScript where Node reads it, that exports an attack')
    .option('--data <file>', 'examples to try it on (default: made-up ones)')
    .action(async (file: string, _: unknown, self: Command) => {
      const { data, json } = self.optsWithGlobals<{ data?: string; json?: true }>();
      const { loadAttack } = await import('../attacks/index.ts');
      const { checkAttack } = await import('../contract.ts');
      const { readExamples, readLabelledExamples } = await import('../data/examples.ts');
      const attack = await loadAttack(file);
      const read = attack.targetLabel === undefined ? readExamples : readLabelledExamples;
      const examples = data === undefined ? undefined : await read(await dataFile(data));
      const promises = await checkAttack(attack, examples);
      const ok = promises.every(({ kept }) => kept);
      if (json) {
        process.stdout.write(`${JSON.stringify({ attack: attack.name, ok, promises }, null, 2)}\n`);
      } else {
        const lines = promises.map(
          ({ promise, kept, detail }) => `${kept ? '✓' : '✗'} ${promise}: ${detail}`,
        );
        process.stdout.write(`${attack.name}\n${lines.join('\n')}\n`);
      }
      if (!ok) process.exitCode = 1;
    });
}
