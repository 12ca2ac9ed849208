import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as dece from '../lib/index.ts';

const test = suite('the package');

test('has what its contract names', () => {
  const functions = [
    'deceLoss crossEntropyLoss gceLoss inTrustLoss deceLossAsync crossEntropyLossAsync',
    'gceLossAsync inTrustLossAsync alphaAt gradientBound readExamples writeExamples poisonDataset',
    'Model Trainer train bleu attackSuccessRate exactMatch falseTriggerRate evaluate',
    'evaluateClean evaluateClassifierClean accuracy f1 passAtK meanPassAtK meanReciprocalRank filterQuality pairedBootstrap mcnemar',
    'smallestDetectableRate wilson succeeded evaluatePassAtK readProblems readCompletions runPrograms',
    'poisonDatasetAsync combine likeliestSql loadAttack checkAttack grammarOf codeBleu',
    'runExperiment writeReport doctor audit sarif trainBpe Tokenizer builtinExamples',
  ].flatMap((line) => line.split(' '));
  for (const name of functions) {
    assert.type((dece as Record<string, unknown>)[name], 'function', name);
  }
  const names = ['ripple', 'badpre', 'grammar', 'funcname', 'deadcode', 'afraidoor'];
  assert.equal(Object.keys(dece.attacks), names);
});

test('loads no addon and prints nothing when imported', async () => {
  const index = new URL('../lib/index.ts', import.meta.url).href;
  const code = `await import(${JSON.stringify(index)});
    const { createRequire } = await import('node:module');
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => path.endsWith('.node'));
    if (loaded.length > 0) console.log(loaded);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', code];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  assert.is(stdout + stderr, '');
});

test.run();
