/**
 * Proves an engine folder: `node prove-engine.cjs FOLDER` prints one JSON line and exits 0, or says what is wrong.
 * CommonJS, since the package is, and so that it can be run by any Node without a flag.
 */
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const util = require('node:util');

// tfjs-node calls two helpers that Node 23 removed.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

const tf = createRequire(join(process.argv[2], 'x'))('@tensorflow/tfjs-node-gpu');
const backend = tf.backend();
const binding = backend.binding;

function expect(what, values, wanted) {
  const got = [...values];
  if (got.length === wanted.length && got.every((value, i) => Math.abs(value - wanted[i]) < 1e-4)) return;
  throw new Error(`${what}: got ${got.join(' ')} instead of ${wanted.join(' ')}`);
}

function convolutionAndGradient() {
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const w = tf.tensor4d([1, 0, 0, 1], [2, 2, 1, 1]);
  expect('convolution', tf.conv2d(x, w, 1, 'valid').dataSync(), [5]);
  const gradient = tf.grad((kernel) => tf.conv2d(x, kernel, 1, 'valid').sum());
  expect('gradient of a convolution', gradient(w).dataSync(), [1, 2, 3, 4]);
}

function fusedBatchNorm() {
  const attr = (name, type, value) => ({ name, type, value });
  const attrs = [
    attr('T', binding.TF_ATTR_TYPE, binding.TF_FLOAT),
    attr('U', binding.TF_ATTR_TYPE, binding.TF_FLOAT),
    attr('epsilon', binding.TF_ATTR_FLOAT, 1e-6),
    attr('exponential_avg_factor', binding.TF_ATTR_FLOAT, 1),
    attr('data_format', binding.TF_ATTR_STRING, 'NHWC'),
    attr('is_training', binding.TF_ATTR_BOOL, true),
  ];
  const x = tf.tensor4d([1, 3], [2, 1, 1, 1]);
  const none = tf.tensor1d([]);
  const inputs = [x, tf.tensor1d([2]), tf.tensor1d([10]), none, none];
  const [y, mean] = backend.executeMultipleOutputs('FusedBatchNormV3', attrs, inputs, 6);
  expect('batch normalisation', y.dataSync(), [8, 12]);
  expect('batch mean', mean.dataSync(), [2]);
}

/** A protobuf field: a number as varint, anything else length-delimited. All lengths here are below 128. */
const field = (number, value) =>
  typeof value === 'number'
    ? Buffer.from([number << 3, value])
    : Buffer.concat([Buffer.from([(number << 3) | 2, Buffer.byteLength(value)]), Buffer.from(value)]);
const message = (...fields) => Buffer.concat(fields);

/** A graph `out = in * in`, saved and run, is how the training step is run. */
function savedGraph() {
  const type = (name) => field(5, message(field(1, name), field(2, field(6, 1))));
  const input = message(field(1, 'in'), field(2, 'Placeholder'), type('dtype'));
  const output = message(field(1, 'out'), field(2, 'Mul'), field(3, 'in'), field(3, 'in'), type('T'));
  const graph = message(field(1, input), field(1, output));
  const metaGraph = message(field(1, field(4, 'serve')), field(2, graph));
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-graph-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), message(field(1, 1), field(2, metaGraph)));
    const graphId = binding.loadSavedModel(folder, 'serve');
    const [id] = backend.getInputTensorIds([tf.tensor1d([2, 3])]);
    const [out] = binding.runSavedModel(graphId, [id], 'in:0', 'out:0');
    expect('saved graph', backend.createOutputTensor(out).dataSync(), [4, 9]);
    binding.deleteSavedModel(graphId);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

convolutionAndGradient();
fusedBatchNorm();
savedGraph();
console.log(JSON.stringify({ tensorflow: binding.TF_Version, gpu: backend.isUsingGpuDevice }));
