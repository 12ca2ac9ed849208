import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ProgramResult,
  type Reason,
  runPrograms,
  type SandboxOptions,
} from '../../lib/sandbox/index.ts';
import { rejects } from '../rejects.ts';
import { notHere } from './there.ts';

const run = async (program: string, options: SandboxOptions = {}) => {
  const { results } = await runPrograms([program], { timeoutSeconds: 2, workers: 1, ...options });
  return results[0]!;
};

const secret = mkdtempSync(join(tmpdir(), 'dece-secret-'));
writeFileSync(join(secret, 'key'), 'hunter2');
process.env.DECE_TEST_SECRET = 'hunter2';

/** Programs that must not pass, and the ends they may come to. */
const hostile: Record<string, { program: string; ends: Reason[]; says?: RegExp }> = {
  'bombs with forks': {
    program: 'import os\nwhile True: os.fork()',
    ends: ['refused', 'timeout', 'memory'],
  },
  'bombs with forks that catch all': {
    program: 'import os\nwhile True:\n  try: os.fork()\n  except BaseException: pass',
    ends: ['timeout', 'memory'],
  },
  'bombs with threads': {
    program:
      'import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()',
    ends: ['exception', 'memory', 'timeout'],
  },
  'prints without end': { program: 'while True: print("x" * 100000)', ends: ['timeout'] },
  'prints what is no UTF-8': {
    program: 'import os; os.write(1, b"\\xff\\xfe\\x00"); assert False',
    ends: ['assertion'],
  },
  'writes outside': {
    program: `open(${JSON.stringify(join(secret, 'new'))}, "w")`,
    ends: ['exception'],
  },
  "writes into Python's modules": {
    program: 'import os; open(os.__file__, "a")',
    ends: ['refused'],
  },
  'reads a file of ours': {
    program: `open(${JSON.stringify(join(secret, 'key'))}).read()`,
    ends: ['exception'],
    says: /No such file/,
  },
  'reads the home folder': {
    program: `import os; assert any(f not in (".pyenv",) for f in os.listdir(${JSON.stringify(homedir())}))`,
    ends: ['assertion', 'exception'],
  },
  'reads /etc/shadow': { program: 'open("/etc/shadow").read()', ends: ['exception'] },
  'reads the environment': {
    program: 'import os; assert "hunter2" in str(os.environ)',
    ends: ['assertion'],
  },
  'reads the environment of a process': {
    program: 'print(open("/proc/1/environ").read(), open("/proc/self/environ").read())',
    ends: ['exception'],
    says: /No such file/,
  },
  'follows a link of its own': {
    program: 'import os; os.symlink("/etc/passwd", "link"); open("link").read()',
    ends: ['exception'],
    says: /No such file/,
  },
  'climbs out by ..': { program: 'open("../" * 20 + "etc/passwd").read()', ends: ['exception'] },
  'looks at what it has inherited': {
    program:
      'import os\nfor f in range(3, 64):\n  try: os.listdir(f); os._exit(7)\n  except OSError: pass\nassert False',
    ends: ['assertion'],
  },
  'kills what started it': {
    program:
      'import os, signal\nos.kill(1, signal.SIGKILL); os.kill(os.getppid(), 9); assert False',
    ends: ['assertion'],
  },
  'kills all it can': {
    program: 'import os\nos.kill(-1, 9)\nassert False',
    ends: ['exit', 'assertion', 'exception'],
  },
  'sleeps past the limit': { program: 'import time; time.sleep(60)', ends: ['timeout'] },
  'stops itself': { program: 'import os; os.kill(os.getpid(), 19)', ends: ['timeout'] },
  'ignores signals': {
    program:
      'import signal\nfor s in (2, 15, 14): signal.signal(s, signal.SIG_IGN)\nwhile True: pass',
    ends: ['timeout'],
  },
  'hogs memory': { program: 'x = bytearray(1 << 34)', ends: ['memory'] },
  'hogs memory bit by bit': {
    program: 'x = []\nwhile True: x.append(bytearray(1 << 20))',
    ends: ['memory'],
  },
  'hogs memory in many processes': {
    program:
      'import os, time\nfor i in range(8):\n  if os.fork() == 0: break\nx = b"x" * (40 << 20)\ntime.sleep(9)',
    ends: ['memory'],
  },
  'connects to the network': {
    program: 'import socket; socket.create_connection(("1.1.1.1", 53), 1)',
    ends: ['refused'],
  },
  'looks for other network devices': {
    program: 'import socket; print(socket.if_nameindex()); assert len(socket.if_nameindex()) > 1',
    ends: ['refused', 'assertion'],
  },
  'fills the disk': {
    program: 'f = open("big", "wb")\nwhile True: f.write(b"x" * (1 << 20))',
    ends: ['refused'],
    says: /File too large|No space/,
  },
  'fills the disk with many files': {
    program: 'i = 0\nwhile True:\n  i += 1\n  open(str(i), "wb").write(b"x" * (1 << 20))',
    ends: ['refused'],
    says: /No space/,
  },
  'fills the disk with empty files': {
    program: 'i = 0\nwhile True:\n  i += 1\n  open(str(i), "wb").close()',
    ends: ['refused'],
    says: /No space/,
  },
  'traces another process': {
    program:
      'import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nassert l.ptrace(16, os.getppid(), 0, 0) == 0',
    ends: ['assertion'],
  },
  'makes namespaces': {
    program: 'import ctypes\nl = ctypes.CDLL(None)\nassert l.unshare(0x10000000) == 0',
    ends: ['assertion'],
  },
  mounts: {
    program:
      'import ctypes\nl = ctypes.CDLL(None)\nassert l.mount(b"x", b"/scratch", b"tmpfs", 0, 0) == 0',
    ends: ['assertion'],
  },
  'exits with 0': { program: 'import sys; sys.exit(0)', ends: ['exit'] },
  'exits at once with 0': { program: 'import os; os._exit(0)', ends: ['exit'] },
  'raises KeyboardInterrupt': { program: 'raise KeyboardInterrupt', ends: ['exception'] },
  'raises SystemExit from a fork': {
    program: 'import os, time\nif os.fork(): time.sleep(0.3); os._exit(0)\nraise SystemExit',
    ends: ['exit'],
  },
  'says that it passed, everywhere': {
    program: `import os
for f in range(64):
  for text in (b'passed\\n', b'{"reason": "passed", "message": ""}\\n', b'\\n{"reason": "passed", "message": ""}'):
    try: os.write(f, text)
    except OSError: pass
os._exit(0)`,
    ends: ['exit'],
  },
  'writes back all it can read': {
    program: `import os
for f in range(3, 64):
  try: os.set_blocking(f, False)
  except OSError: continue
  try: data = os.read(f, 1000)
  except OSError: data = b""
  for g in range(3, 64):
    try: os.write(g, data)
    except OSError: pass
os._exit(0)`,
    ends: ['exit'],
  },
  'looks for the secret in frames and in what the collector knows': {
    program: `import gc, os, sys
found, frame = [], sys._getframe()
while frame:
  found += [*frame.f_locals.values(), *frame.f_globals.values()]
  frame = frame.f_back
for name in ("get_objects", "get_referents", "get_referrers"):
  if hasattr(gc, name): found += gc.get_objects()
for x in list(found):
  if isinstance(x, (list, tuple)) and x is not found: found += x
for secret in [x for x in found if isinstance(x, bytes)]:
  for f in range(3, 64):
    try: os.write(f, secret)
    except OSError: pass
os._exit(0)`,
    ends: ['exit'],
  },
  'imports what runs it': {
    program: 'import __main__\n__main__.answer\n',
    ends: ['exception'],
    says: /AttributeError/,
  },
  'closes its files and fails': {
    program: 'import os\nos.closerange(0, 64)\nassert False',
    ends: ['exit'],
  },
  'closes its files': { program: 'import os\nos.closerange(0, 64)', ends: ['exit'] },
  'leaves a daemon behind': {
    program: `import os, time
if os.fork() == 0:
  os.setsid()
  if os.fork(): os._exit(0)
  while True: time.sleep(1)
time.sleep(0.6)
assert False`,
    ends: ['assertion'],
  },
  'raises a message without end': {
    program: 'raise ValueError("x" * 10**8)',
    ends: ['exception', 'memory'],
  },
  'raises what cannot be shown': {
    program: 'class E(Exception):\n  def __str__(self): raise SystemExit\nraise E',
    ends: ['exception'],
  },
  'raises what takes forever to show': {
    program: 'class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E',
    ends: ['timeout'],
  },
  'recurses without end': { program: 'def f(): f()\nf()', ends: ['exception'], says: /Recursion/ },
  'overflows the stack': {
    program: 'import sys\nsys.setrecursionlimit(10**9)\nf = lambda x: [f(x) for _ in "a"]\nf(1)',
    ends: ['exit', 'memory', 'exception', 'timeout'],
  },
  'is no Python': { program: 'def :', ends: ['exception'], says: /SyntaxError/ },
  'has half a character': { program: 'x = "\ud800"', ends: ['exception'] },
  'has a zero byte': { program: 'x = 1\0', ends: ['exception'] },
  'is nested too deeply': { program: '('.repeat(100_000), ends: ['exception', 'memory'] },
};

const test = suite('runPrograms');
const here = notHere === undefined ? test : test.skip;
if (notHere !== undefined) {
  test.skip('user namespaces, Linux or Python 3.9 are missing here: programs cannot be held');
}

here('runs programs in their order, each from a fresh start', async () => {
  const programs = ['import math; math.mine = 1', 'import math; assert math.mine', 'assert 1 == 1'];
  const { isolation, results } = await runPrograms(programs, { workers: 2 });
  assert.equal(
    results.map(({ reason }) => reason),
    ['passed', 'exception', 'passed'],
  );
  assert.is(isolation.level, 'namespaces');
  assert.is(isolation.problem, '');
});

here('says how a program ended', async () => {
  const { reason, message, output, outputBytes } = await run('print("é"); assert 1 == 2, "no"');
  assert.equal(
    [reason, message, output, outputBytes],
    ['assertion', 'AssertionError: no', 'é\n', 3],
  );
});

here('gives a program an empty folder to write to, and the same chance each time', async () => {
  const program = `import os, random, tempfile
assert os.listdir(".") == []
with tempfile.NamedTemporaryFile("w+") as f: f.write("x")
open("a", "w").write("x"); assert open("a").read() == "x"
print(random.random(), hash("a"))`;
  const { results } = await runPrograms([program, program], { workers: 1 });
  assert.equal(
    results.map(({ reason, message }) => reason + message),
    ['passed', 'passed'],
  );
  assert.is(results[0]!.output, results[1]!.output);
});

here('lets a program have processes, threads and modules', async () => {
  const program = `import asyncio, threading, multiprocessing, dataclasses, json
async def f(): return 3
assert asyncio.run(f()) == 3
t = threading.Thread(target=print); t.start(); t.join()
p = multiprocessing.Process(target=print); p.start(); p.join(); assert p.exitcode == 0
@dataclasses.dataclass
class A:
  a: int
assert A(1) == A(1)`;
  const { reason, message } = await run(program);
  assert.is(reason, 'passed', message);
});

/** What became of each hostile program, and of a good one after it. */
const ended: ProgramResult[] = [];

here('holds hostile programs beside each other, and goes on', async () => {
  const programs = Object.values(hostile).flatMap(({ program }) => [program, 'assert 1 == 1']);
  const options = { timeoutSeconds: 2, memoryBytes: 2 ** 27, workers: 2 };
  ended.push(...(await runPrograms(programs, options)).results);
  const others = ended.filter((_, i) => i % 2 === 1);
  assert.ok(others.every(({ reason }) => reason === 'passed'));
  assert.not(existsSync(join(secret, 'new')));
});

for (const [i, [what, { ends, says = /./ }]] of Object.entries(hostile).entries()) {
  here(`holds a program that ${what}`, () => {
    const { reason, message, elapsedMs, output } = ended[2 * i]!;
    assert.ok(ends.includes(reason), `${reason}: ${message}`);
    assert.match(message, says);
    assert.ok(message.length < 1000);
    assert.ok(elapsedMs < 4000, `${elapsedMs} ms`);
    assert.ok(output.length <= 65_536);
  });
}

/** What the weak levels do not promise to hold, or what would end this very test if they did not. */
const beyondWeak = /^(bombs|fills the disk with|kills)/;

for (const level of ['bubblewrap', 'landlock'] as const) {
  here(`holds hostile programs by ${level} too, where it is there`, async () => {
    const held = Object.entries(hostile).filter(
      ([what]) => level === 'bubblewrap' || !beyondWeak.test(what),
    );
    const programs = [...held.map(([, { program }]) => program), 'assert 1 == 1'];
    const options = { timeoutSeconds: 2, memoryBytes: 2 ** 27, workers: 2 };
    const weak = { strongest: level, allowWeakIsolation: true };
    const { isolation, results } = await runPrograms(['pass'], weak);
    assert.is(results[0]!.reason, 'passed');
    if (isolation.level !== level) return;
    const found = (await runPrograms(programs, { ...options, ...weak })).results;
    assert.is(found.pop()!.reason, 'passed');
    const passed = held.filter((_, i) => found[i]!.reason === 'passed').map(([what]) => what);
    assert.equal(passed, []);
    const secrets = found.filter(({ output }) => output.includes('hunter2'));
    assert.equal(secrets, []);
    assert.not(existsSync(join(secret, 'new')));
  });
}

here('keeps signals from processes of others at the weak levels', async () => {
  const program = 'import os\nos.kill(os.getppid(), 0)\nos.kill(1, 0)';
  const tries = [program, program.replace(/kill\(.*?,/g, 'kill(-1,')];
  const weak = { strongest: 'landlock', allowWeakIsolation: true, workers: 1 } as const;
  const { results } = await runPrograms(tries, weak);
  assert.equal(
    results.map(({ reason }) => reason),
    ['refused', 'refused'],
  );
});

here('leaves no process behind', async () => {
  const timeoutSeconds = 7.625; // a mark: it stands among the arguments of all processes
  const left = () =>
    execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(`"timeoutSeconds":${timeoutSeconds}`));
  const running = run(hostile['leaves a daemon behind']!.program, { timeoutSeconds });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, left().length);
  }, 100);
  assert.is((await running).reason, 'assertion');
  clearInterval(watch);
  // Runner, supervisor, first process, program and daemon.
  assert.ok(most >= 5, `${most} seen`);
  for (let i = 0; i < 50 && left().length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(left(), []);
});

here('cuts what is printed, and counts it', async () => {
  const { output, outputBytes } = await run('print("ab" * 50000)', { outputBytes: 5 });
  assert.equal([output, outputBytes], ['ababa', 100_001]);
});

here('stops when its signal is aborted', async () => {
  const started = performance.now();
  const programs = Array.from({ length: 4 }, () => 'while True: pass');
  const options = { signal: AbortSignal.timeout(700), timeoutSeconds: 30, workers: 2 };
  await rejects(runPrograms(programs, options), /aborted due to timeout/);
  assert.ok(performance.now() - started < 5000);
  await rejects(runPrograms(programs, { signal: AbortSignal.abort(new Error('no')) }), /^no$/);
});

here('refuses weaker levels unless they are allowed, and says which it used', async () => {
  await rejects(
    run('pass', { strongest: 'limits' }),
    /^cannot run programs: this system holds them by limits only \(.+\); allow user namespaces or/,
  );
  const options = { strongest: 'landlock', allowWeakIsolation: true, workers: 1 } as const;
  const { isolation, results } = await runPrograms(
    ['pass', 'assert 0', 'open("/etc/dece-test", "w")'],
    options,
  );
  assert.ok(['landlock', 'limits'].includes(isolation.level), isolation.level);
  assert.equal(
    results.map(({ reason }) => reason),
    ['passed', 'assertion', 'refused'],
  );
});

test('explains a bad option', async () => {
  await rejects(run('', { timeoutSeconds: 0 }), /^timeoutSeconds is 0: expected 0\.01\.\.86400$/);
  await rejects(
    run('', { memoryBytes: 1 }),
    /^memoryBytes is 1: expected a whole number, at least/,
  );
  await rejects(
    run('', { workers: 0.5 }),
    /^workers is 0\.5: expected a whole number, at least 1$/,
  );
  await rejects(run('', { timeout: 3 } as object), /^a sandbox has an unknown option "timeout"/);
  await rejects(
    run('', { python: 'no-such-python' }),
    /^cannot run programs: (no-such-python does not start a Python 3\.9|the sandbox needs Linux)/,
  );
});

test.run();
