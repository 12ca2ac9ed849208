import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../lib/native.ts';
import { runPrograms, type SandboxOptions } from '../../lib/sandbox/index.ts';
import { rejects } from '../rejects.ts';
import { notHere } from './there.ts';

const landlock = { strongest: 'landlock', allowWeakIsolation: true, workers: 1 } as const;
const system = '/usr/bin/python3';
const python = existsSync(system) ? system : 'python3';

const test = suite('the weak levels of the sandbox');
const level = notHere === undefined && (await runPrograms([], landlock)).isolation.level;
const here = level === 'landlock' ? test : test.skip;

const passes = async (program: string, options: SandboxOptions) => {
  const { results } = await runPrograms([program], options);
  const [{ reason, message }] = results as [(typeof results)[number]];
  assert.is(reason, 'passed', message);
};

/** What the owner of a file may do to it, and each call of it that succeeds. */
const changes = (path: string) => `import ctypes, os
path = ${path}
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
  if getattr(libc, name)(*args) < 0: raise OSError(ctypes.get_errno(), name)
changes = dict(
  chmod=lambda: os.chmod(path, 0o666),
  fchmodat=lambda: call("fchmodat", -100, path.encode(), 0o666, 0),
  chown=lambda: os.chown(path, os.getuid(), os.getgid()),
  lchown=lambda: os.lchown(path, os.getuid(), os.getgid()),
  utime=lambda: os.utime(path, (0, 0)),
  utimes=lambda: call("utimes", path.encode(), None),
  truncate=lambda: os.truncate(path, 0),
  empty=lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
  mode_3=lambda: os.open(path, 3),
  empty_in_mode_3=lambda: os.open(path, 3 | os.O_TRUNC),
  setxattr=lambda: os.setxattr(path, "user.a", b"a"),
  removexattr=lambda: os.removexattr(path, "user.a"),
  watch=lambda: call("inotify_add_watch", libc.inotify_init(), path.encode(), 1),
)
made = []
for name, change in changes.items():
  try: change()
  except OSError as error:
    if error.errno in (1, 13): continue
  made.append(name)
assert made == [], made`;

here('hold all files of a program together', async () => {
  const write = (where: string) => `import os, time
for i in range(300):
  ${where}
  open(f'{i}', 'wb').write(bytes(10 ** 6))
time.sleep(20)`;
  const hidden = 'os.mkdir("a", 0o700); os.chdir("a")';
  const long = 'name = "a" * 200; os.mkdir(name); os.chdir(name)';
  const empty = 'for j in range(100): open(f"{i} {j}", "w").close()';
  for (const where of ['pass', hidden, long, empty]) {
    const options = { ...landlock, timeoutSeconds: 20 };
    const [result] = (await runPrograms([write(where)], options)).results;
    assert.is(result?.reason, 'refused', `${where}: ${result?.message}`);
    assert.match(result?.message ?? '', 'wrote more than 16777216 bytes to files');
  }
});

here('leave a program the files that it may have', async () => {
  const program = `import os, tempfile
os.symlink('/', 'link')
with tempfile.TemporaryDirectory(dir='.') as folder:
  for i in range(15): open(f'{folder}/{i}', 'wb').write(bytes(10 ** 6))
  import time; time.sleep(0.3)`;
  await passes(program, landlock);
});

here('change no file of others by what Landlock does not hold', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'dece-weak-')), 'file');
  writeFileSync(file, 'ours', { mode: 0o640 });
  const before = statSync(file);
  await passes(changes(JSON.stringify(file)), landlock);
  const after = statSync(file);
  assert.is(readFileSync(file, 'utf8'), 'ours');
  assert.equal(
    [after.mode, after.mtimeMs, after.ctimeMs],
    [before.mode, before.mtimeMs, before.ctimeMs],
  );
});

here(
  'refuse these calls by themselves: Landlock lets a program write to its own folder',
  async () => {
    await passes(
      `open("file", "w").write("x")\n${changes('"file"')}
import fcntl
for request in (0x40086602, 0x401C5820):
  try: fcntl.ioctl(open("file"), request, bytes(32))
  except PermissionError: continue
  assert False, request`,
      landlock,
    );
  },
);

here('keep priorities, shared memory and sockets from a program', async () => {
  await passes(
    `import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
for change in (
  lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0)),
  lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
  lambda: socket.socketpair(type=socket.SOCK_DGRAM),
  lambda: socket.socketpair(type=socket.SOCK_RAW),
):
  try: change()
  except PermissionError: continue
  assert False
for call in (libc.shmctl, libc.msgctl, libc.semctl):
  assert call(2**31 - 1, 2, None, None) == -1
  assert ctypes.get_errno() == 1, ctypes.get_errno()`,
    landlock,
  );
});

here('leave a program its own files and tasks', async () => {
  await passes(
    `import asyncio, socket, tempfile, threading
asyncio.run(asyncio.sleep(0))
with open("a", "w") as f: f.write("abc")
with open("a", "r+") as f: f.truncate(1)
with open("a", "w") as f: f.write("b")
assert open("a").read() == "b"
with tempfile.TemporaryDirectory() as d: open(d + "/x", "w").close()
t = threading.Thread(target=print); t.start(); t.join()`,
    landlock,
  );
});

const limits = { ...landlock, strongest: 'limits', python } as const;
const isRoot = process.getuid?.() === 0;
const refusal = /without Landlock a program would own all files of its user/;

here('run by limits alone as nobody, out of reach of memory and private files', async () => {
  if (!isRoot) return rejects(runPrograms(['pass'], limits), refusal);
  const file = join(mkdtempSync(join(tmpdir(), 'dece-weak-')), 'file');
  writeFileSync(file, 'ours', { mode: 0o600 });
  const program = `import os
assert os.getresuid() == os.getresgid() == (65534,) * 3 and os.getgroups() == []
for path in ("/proc/self/mem", "/proc/%d/mem" % os.getppid(), ${JSON.stringify(file)}):
  for flags in (os.O_RDONLY, os.O_RDWR):
    try: os.open(path, flags)
    except PermissionError: continue
    assert False, path`;
  await passes(`${program}\n`, limits).catch((error: Error) =>
    assert.match(error.message, refusal),
  );
});

here('run nothing by limits alone for a user who is not root', () => {
  const user = isRoot ? { uid: 54_321, gid: 54_321 } : {};
  const runner = join(packageRoot, 'lib/sandbox/python/runner.py');
  const readable = spawnSync(python, ['-c', `open(${JSON.stringify(runner)})`], user);
  if (readable.status !== 0) return; // the checkout is root's alone
  const chosen = {
    strongest: 'limits',
    timeoutSeconds: 2,
    memoryBytes: 2 ** 30,
    fileBytes: 2 ** 20,
  };
  const options = JSON.stringify({ ...chosen, outputBytes: 99, processes: 8 });
  const { stdout } = spawnSync(python, ['-s', '-B', runner, options], {
    ...user,
    input: '"pass"\n',
    encoding: 'utf8',
  });
  assert.match(stdout.split('\n')[1]!, refusal);
});

test.run();
