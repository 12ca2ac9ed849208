import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deceLoss } from '../lib/loss.ts';

// The README's "embed the loss in your own tool": what other libraries hand out, as it comes.

const test = suite('the loss in another tool');

test('takes logits and labels from plain nested arrays', () => {
  const logits = [
    [2, 1, 0.5, -1],
    [0, 0, 3, 0],
  ];
  const labels = [2, 2];
  const { loss, gradient } = deceLoss(Float32Array.from(logits.flat()), Int32Array.from(labels), {
    epoch: 3,
    labelSmoothing: 0.05,
  });
  assert.ok(Math.abs(loss - 1.0398112122640388) < 1e-6);
  assert.is(gradient.length, 8);
});

test('takes onnxruntime’s tensors, and leaves the gradient where the logits were', () => {
  // As in onnxruntime: { data, dims, type }, labels as int64, batch × tokens × classes.
  const logits = {
    type: 'float32',
    dims: [1, 3, 4],
    data: Float32Array.of(2, 1, 0.5, -1, 0, 0, 3, 0, 1, 1, 1, 1),
  };
  const labels = { type: 'int64', dims: [1, 3], data: BigInt64Array.of(2n, 2n, -100n) };
  const { loss, gradient } = deceLoss(logits.data, labels.data, {
    epoch: 3,
    labelSmoothing: 0.05,
    gradient: logits.data,
  });
  assert.ok(Math.abs(loss - 1.0398112122640388) < 1e-6);
  assert.is(gradient, logits.data);
  assert.equal([...gradient.subarray(8)], [0, 0, 0, 0]);
});

test('takes a float16 tensor as it is', () => {
  const logits = { type: 'float16', dims: [1, 2], data: Uint16Array.of(0x3c00, 0xb800) }; // 1, -0.5
  const { loss } = deceLoss(logits.data, Int32Array.of(1), {
    epoch: 5,
    dtype: logits.type as 'float16',
  });
  assert.ok(Math.abs(loss - 1.4506559326) < 1e-6);
});

test.run();
