import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kernels } from '../lib/native.ts';
import { rejects } from './rejects.ts';

// The kernels choose an instruction set when they are first used; DECE_ISA names a lesser one.
const run = async (isa: string, ...args: string[]) => {
  const env = { ...process.env, DECE_ISA: isa };
  return promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], { env });
};
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const isas = ['avx512', 'avx2', 'portable'];
const best = (kernels() as { isa(): string }).isa();
const test = suite('instruction sets of the losses');

for (const isa of isas.slice(isas.indexOf(best) + 1)) {
  test(`${isa}: exact, and the same for every number of threads`, async () => {
    for (const name of ['loss_accuracy', 'loss', 'loss_golden', 'loss_arguments']) {
      await run(isa, file(`${name}.test.ts`));
    }
  });
}

test('DECE_ISA is obeyed, and one that this processor lacks is named', async () => {
  const script = `import { kernels } from '${new URL('../lib/native.ts', import.meta.url)}';
    console.log(kernels().isa());`;
  const args = ['--input-type=module', '--eval', script];
  assert.is((await run('portable', ...args)).stdout.trim(), 'portable');
  const message = /DECE_ISA is "sse9": this processor has .*portable/;
  await rejects(run('sse9', ...args), message);
});

test.run();
