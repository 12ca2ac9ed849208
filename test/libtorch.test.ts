import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { downloadLibtorch, findLibtorch, type Wheel } from '../lib/libtorch/index.ts';
import { rejects } from './rejects.ts';

const test = suite('libtorch');
const directory = mkdtempSync(join(tmpdir(), 'dece-libtorch-'));
test.after(() => rmSync(directory, { recursive: true }));

const tag = 'cp311-cp311-manylinux_2_28_x86_64';
const wheelName = `torch-2.13.0+cpu-${tag}.whl`;
const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
  encoding: 'utf8',
}).trim();

/** The files that make a directory a libtorch. */
const libtorchFiles = (version: string) => ({
  'version.py': `__version__ = '${version}'\n`,
  'include/torch/torch.h': '',
  'lib/libtorch_cpu.so': 'a library',
  'share/cmake/Torch/TorchConfig.cmake': '',
});

function write(name: string, files: Record<string, string>): string {
  const root = join(directory, name);
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** A directory with programs in it, for PATH. */
function programs(name: string, scripts: Record<string, string>): string {
  const path = write(name, scripts);
  for (const script of Object.keys(scripts)) chmodSync(join(path, script), 0o755);
  return path;
}

const printing = (text: string) => `#!/bin/sh\necho '${text}'\n`;

/** An environment with its own cache and with a python3 that says it has torch in `torch`, or none. */
const environment = (name: string, torch = '') => ({
  PATH: programs(`${name}-bin`, { python3: printing(torch) }),
  DECE_CACHE: join(directory, `${name}-cache`),
});

const cached = ({ DECE_CACHE }: { DECE_CACHE: string }) => join(DECE_CACHE, 'libtorch-2.13.0+cpu');

test('looks at LIBTORCH, then in the cache, then at the torch of python3', async () => {
  const torch = write('installed', libtorchFiles('2.12.0+cpu'));
  const env = environment('order', torch);
  write('order-cache/libtorch-2.13.0+cpu', libtorchFiles('2.13.0+cpu'));
  const asked = write('asked', libtorchFiles('2.11.0+cpu'));

  const first = await findLibtorch({ ...env, LIBTORCH: asked });
  const found = { path: asked, version: '2.11.0+cpu', cuda: false, source: 'LIBTORCH' };
  assert.equal(first, { libtorch: found, tried: [] });

  const second = await findLibtorch({ ...env, LIBTORCH: '' });
  assert.is(second.libtorch?.source, 'cache');
  assert.is(second.libtorch?.path, cached(env));
  assert.equal(second.tried, ['LIBTORCH: not set']);

  rmSync(env.DECE_CACHE, { recursive: true });
  const third = await findLibtorch(env);
  assert.is(third.libtorch?.source, 'python3');
  assert.is(third.libtorch?.path, torch);
  assert.equal(third.tried[1], `cache: ${cached(env)}: there is no such directory`);
});

test('uses XDG_CACHE_HOME where DECE_CACHE is not set', async () => {
  const { PATH } = environment('xdg');
  const XDG_CACHE_HOME = join(directory, 'xdg');
  const path = write('xdg/dece/libtorch-2.13.0+cpu', libtorchFiles('2.13.0+cpu'));
  assert.is((await findLibtorch({ PATH, XDG_CACHE_HOME })).libtorch?.path, path);
});

test('says what it looked at where there is none', async () => {
  const env = environment('none');
  const { libtorch, tried } = await findLibtorch(env);
  assert.is(libtorch, undefined);
  assert.equal(tried, [
    'LIBTORCH: not set',
    `cache: ${cached(env)}: there is no such directory`,
    'python3: no torch installed',
  ]);
  const { tried: without } = await findLibtorch({ ...env, PATH: directory });
  assert.is(without[2], 'python3: not found');
});

test('does not pass over a LIBTORCH that cannot be used', async () => {
  const env = environment('bad', write('good', libtorchFiles('2.13.0+cpu')));
  const end = ': mend it with `env -u LIBTORCH npm run build`, which looks elsewhere$';
  const cases: [string, string][] = [
    [join(directory, 'nowhere'), 'there is no such directory'],
    [write('nothing', {}), 'it is no libtorch: expected a directory with lib/ and include/.*'],
    [write('old', libtorchFiles('2.9.1')), 'its version is 2\\.9\\.1: expected 2\\.11 to 2\\.13'],
    [write('new', libtorchFiles('3.0.0')), 'its version is 3\\.0\\.0: expected 2\\.11 to 2\\.13'],
  ];
  for (const [LIBTORCH, reason] of cases) {
    await rejects(
      findLibtorch({ ...env, LIBTORCH }),
      new RegExp(`^LIBTORCH is "${LIBTORCH.slice(0, 20)}.*": ${reason}${end}`),
    );
  }
});

test('takes a torch that is built for CUDA only where there is a CUDA toolkit', async () => {
  const torch = write('cuda', {
    ...libtorchFiles('2.13.0+cu130'),
    'lib/libtorch_cuda.so': 'a library',
  });
  const env = environment('cuda', torch);
  const CUDA_HOME = join(directory, 'toolkit');
  if (!existsSync('/usr/local/cuda/bin/nvcc')) {
    const { libtorch, tried } = await findLibtorch(env);
    assert.is(libtorch, undefined);
    assert.match(tried[2]!, /is built for CUDA, and there is no CUDA toolkit \(nvcc\)/);
  }
  programs('toolkit/bin', { nvcc: printing('') });
  assert.is((await findLibtorch({ ...env, CUDA_HOME })).libtorch?.cuda, true);
});

/*
 * Downloads: a small wheel of the right name takes the place of the real one. It is had by the real pip
 * from a directory, or from a server on this machine.
 */

const packages = write('packages', {});
execFileSync(python, [
  '-c',
  `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('torch/version.py', "__version__ = '2.13.0+cpu'\\n")
    for name in ['lib/libtorch_cpu.so', 'include/torch/torch.h', 'share/cmake/Torch/TorchConfig.cmake', 'nn.py']:
        wheel.writestr('torch/' + name, name * 1000)
    info = 'torch-2.13.0+cpu.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: torch\\nVersion: 2.13.0+cpu\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: ${tag}\\n')
    wheel.writestr(info + 'RECORD', '')`,
  join(packages, wheelName),
]);
const content = readFileSync(join(packages, wheelName));
const sha256 = createHash('sha256').update(content).digest('hex');
const wheel: Wheel = { tag, sha256, bytes: content.length };
const noServer = 'http://127.0.0.1:9/whl';

const downloading = (name: string, findLinks: string) => ({
  ...process.env,
  PATH: `${dirname(python)}:/usr/bin:/bin`,
  DECE_CACHE: join(directory, `${name}-cache`),
  PIP_CONFIG_FILE: '/dev/null',
  PIP_NO_INDEX: '1',
  PIP_FIND_LINKS: findLinks,
});

async function serve(
  body: Buffer,
  length = body.length,
): Promise<{ server: Server; index: string }> {
  const server = createServer((request, response) => {
    if (!request.url?.endsWith(encodeURIComponent(wheelName))) response.writeHead(404).end();
    else response.writeHead(200, { 'content-length': length }).end(body, () => request.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, index: `http://127.0.0.1:${(server.address() as AddressInfo).port}/whl` };
}

const hasPip = spawnSync(python, ['-m', 'pip', '--version']).status === 0;
function testPip(name: string, body: () => Promise<void>): void {
  if (hasPip) test(name, body);
  else test.skip('what pip downloads: python3 has no pip here');
}

testPip(
  'downloads by pip into an empty cache, and says before what, from where and how much',
  async () => {
    const env = downloading('pip', packages);
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const libtorch = await downloadLibtorch({ env, log, wheel, index: noServer });
    assert.equal(lines, [
      `downloading libtorch 2.13.0 for the CPU: ${wheelName}, 0 MB, from the package index of pip`,
    ]);
    assert.equal(libtorch, {
      path: cached(env),
      version: '2.13.0+cpu',
      cuda: false,
      source: 'cache',
    });
    assert.equal(readdirSync(libtorch.path).sort(), ['include', 'lib', 'share', 'version.py']);
    assert.equal(readdirSync(env.DECE_CACHE), ['libtorch-2.13.0+cpu'], 'nothing else is kept');
    assert.equal((await findLibtorch(env)).libtorch, libtorch);
  },
);

testPip('downloads again what is broken in the cache', async () => {
  const env = downloading('repair', packages);
  write('repair-cache/libtorch-2.13.0+cpu', { 'version.py': '', 'lib/libtorch_cpu.so': 'half' });
  assert.match((await findLibtorch({ ...env, PATH: directory })).tried[1]!, /it is no libtorch/);
  const { path } = await downloadLibtorch({ env, log: () => {}, wheel, index: noServer });
  assert.is((await findLibtorch(env)).libtorch?.path, path);
});

test('downloads from the official address what pip does not have', async () => {
  const { server, index } = await serve(content);
  try {
    const env = downloading('url', write('no-packages', {}));
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const libtorch = await downloadLibtorch({ env, log, wheel, index });
    assert.is(libtorch.path, cached(env));
    assert.match(lines[1]!, /MB, from http:\/\/127\.0\.0\.1:\d+\/whl\/torch-2\.13\.0%2Bcpu-cp311/);
  } finally {
    server.close();
  }
});

test('keeps nothing of a download that is cut, and says what was tried, in order', async () => {
  const half = content.subarray(0, content.length / 2);
  const cut = write('cut-packages', {});
  writeFileSync(join(cut, wheelName), half);
  const { server, index } = await serve(half, content.length);
  try {
    const env = downloading('cut', cut);
    const tried = ['LIBTORCH: not set'];
    const download = downloadLibtorch({ env, tried, log: () => {}, wheel, index });
    await rejects(
      download,
      new RegExp(
        '^no libtorch: tried, in order,\n' +
          '  LIBTORCH: not set\n' +
          '  the package index of pip: .+\n' +
          `  ${index}/\\S+: .*${half.length}.*\n` +
          'mend it with `python3 -m pip install torch==2\\.13\\.0 --index-url \\S+`, then `npm run build`$',
      ),
    );
    assert.equal(readdirSync(env.DECE_CACHE), []);
    assert.is((await findLibtorch({ ...env, PATH: directory })).libtorch, undefined);
  } finally {
    server.close();
  }
});

testPip('refuses a file with another hash', async () => {
  const env = downloading('hash', packages);
  const other = { ...wheel, sha256: '0'.repeat(64) };
  await rejects(
    downloadLibtorch({ env, log: () => {}, wheel: other, index: noServer }),
    new RegExp(`package index of pip: the file has sha256 ${sha256}: expected 0{64}\n`),
  );
  assert.equal(readdirSync(env.DECE_CACHE), []);
});

testPip('says that there is no network in the words of those who tried', async () => {
  const env = downloading('offline', write('no-packages', {}));
  await rejects(
    downloadLibtorch({ env, log: () => {}, wheel, index: noServer }),
    /pip: No matching distribution found for torch==2\.13\.0\+cpu\n.*127\.0\.0\.1:9\/.*Connection refused/,
  );
});

testPip('lets two builds download at the same time', async () => {
  const env = downloading('both', packages);
  const download = () => downloadLibtorch({ env, log: () => {}, wheel, index: noServer });
  const found = await Promise.all([download(), download()]);
  for (const { path } of found) assert.is(path, cached(env));
  assert.equal(readdirSync(env.DECE_CACHE), ['libtorch-2.13.0+cpu']);
});

test.run();
