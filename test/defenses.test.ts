import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defenseOf, defenseSchema, defenses, lossOf, lossSchema } from '../lib/defenses/index.ts';
import { nativeLoss } from '../lib/model/loss.ts';

const test = suite('defenses');

test('are the losses that the trainer knows, with every option filled in', () => {
  assert.equal(lossOf(defenseSchema.parse('none')), { name: 'ce' });
  assert.equal(lossOf(defenseSchema.parse('label-smoothing')), { name: 'ce', labelSmoothing: 0.1 });
  assert.equal(lossOf(defenseSchema.parse({ name: 'gce', label: 'GCE', q: 0.5 })), {
    name: 'gce',
    q: 0.5,
  });
  assert.equal(lossOf(defenseSchema.parse('dece')), {
    name: 'dece',
    alphaBase: 0.99,
    labelSmoothing: 0.1,
    mode: 'paper',
  });
  for (const name of Object.keys(defenses)) nativeLoss(lossOf(defenseSchema.parse(name)), 1);
});

test('have the defaults of the losses themselves', () => {
  for (const name of ['dece', 'gce', 'in-trust', 'ce'] as const) {
    assert.equal(nativeLoss(lossSchema.parse(name), 3), nativeLoss({ name }, 3), name);
  }
});

test('are found again from a loss', () => {
  for (const name of Object.keys(defenses)) {
    const defense = defenseSchema.parse(name);
    assert.equal(defenseOf(lossSchema.parse(lossOf(defense))), defense, name);
  }
});

test.run();
