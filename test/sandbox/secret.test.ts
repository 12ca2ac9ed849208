import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../lib/native.ts';
import { runPrograms } from '../../lib/sandbox/index.ts';
import { notHere } from './there.ts';

/** Ways to find the call that hands over the secret among all that Python's garbage collector knows. */
const claims = `import os, sys
from functools import partial
def claim(gc):
  for x in gc.get_objects():
    if type(x) is partial and x.func is os.write: x(); os._exit(0)
def claim_by_referrers(gc):
  for x in gc.get_referrers(os.write):
    if type(x) is partial: x(); os._exit(0)
def claim_by_referents(gc):
  for x in gc.get_referents(sys._getframe(2)):
    if type(x) is map: next(x.__reduce__()[1][1])(); os._exit(0)
`;

/** Programs that pass where the collector is open: ways back to its functions. */
const throughCollector: Record<string, string> = {
  'imports the collector anew': 'sys.modules.pop("gc", None)\nimport gc\nclaim(gc)',
  'asks who refers to os.write': 'sys.modules.pop("gc", None)\nimport gc\nclaim_by_referrers(gc)',
  'asks what a frame refers to': 'sys.modules.pop("gc", None)\nimport gc\nclaim_by_referents(gc)',
  'creates the collector anew': `import _imp, importlib.machinery as m
module = _imp.create_builtin(m.ModuleSpec("gc", m.BuiltinImporter))
_imp.exec_builtin(module)
claim(module)`,
  'creates the collector by its loader': `import importlib.util as u
spec = u.find_spec("gc")
sys.modules.pop("gc", None)
module = u.module_from_spec(spec)
spec.loader.exec_module(module)
claim(module)`,
  'loads the collector': `sys.modules.pop("gc", None)
from importlib.machinery import BuiltinImporter
claim(BuiltinImporter.load_module("gc"))`,
  'asks another interpreter': `import importlib
for name in ("_interpreters", "_xxsubinterpreters"):
  try: m = importlib.import_module(name); break
  except ImportError: pass
m.run_string(m.create(), "import gc; open('found', 'w').write(str(len(gc.get_objects())))")
assert os.path.exists("found")`,
};

/** Programs that look elsewhere. */
const elsewhere: Record<string, string> = {
  'reloads the collector': 'import gc, importlib\nclaim(importlib.reload(gc))',
  'has garbage saved': `import gc
gc.set_debug(gc.DEBUG_SAVEALL)
gc.collect()
for x in gc.garbage:
  if type(x) is partial and x.func is os.write: x(); os._exit(0)
assert False`,
  'profiles what fails': `def look(frame, event, x):
  for x in (x, getattr(x, "__self__", 0)):
    if type(x) is map: next(x.__reduce__()[1][1])(); os._exit(0)
sys.setprofile(look)
assert False`,
  'traces what fails': `def look(frame, event, arg):
  for x in frame.f_locals.values():
    for y in x if type(x) in (list, tuple) else [x]:
      if type(y) is map: next(y.__reduce__()[1][1])(); os._exit(0)
      if type(y) is bytes: [os.write(f, y) for f in range(3, 64) if os.path.exists(f)]
  return look
frame = sys._getframe()
while frame: frame.f_trace = look; frame = frame.f_back
sys.settrace(look)
assert False`,
  'monitors what fails': `def look(*args):
  for x in args:
    if type(x) is map: next(x.__reduce__()[1][1])(); os._exit(0)
frame, m = sys._getframe(), sys.monitoring
m.use_tool_id(1, "x")
for e in (m.events.CALL, m.events.C_RAISE, m.events.C_RETURN): m.register_callback(1, e, look)
while frame: m.set_local_events(1, frame.f_code, m.events.CALL); frame = frame.f_back
assert False`,
};

const test = suite('the secret of a program');
const here = notHere === undefined ? test : test.skip;

here('stays out of reach of programs', async () => {
  const programs = { ...throughCollector, ...elsewhere };
  const sources = Object.values(programs).map((program) => claims + program);
  const { results } = await runPrograms([...sources, 'assert True'], { workers: 2 });
  assert.is(results.pop()!.reason, 'passed');
  const found = Object.keys(programs).filter(
    (_, i) => !['exception', 'assertion'].includes(results[i]!.reason),
  );
  assert.equal(found, []);
});

here('would be found by the same programs if the collector were open', () => {
  const open = `import sys
sys.path.append(sys.argv[1])
import program
program.run(sys.argv[2], 1, [b"the secret"])`;
  const folder = join(packageRoot, 'lib/sandbox/python');
  for (const [what, program] of Object.entries(throughCollector)) {
    const cwd = mkdtempSync(join(tmpdir(), 'dece-secret-'));
    const args = ['-s', '-B', '-W', 'ignore', '-c', open, folder, claims + program];
    const { stdout } = spawnSync('python3', args, { cwd, encoding: 'utf8' });
    assert.is(stdout, 'the secret', what);
  }
});

test.run();
