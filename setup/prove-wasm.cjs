/** Proves an engine folder's WebAssembly: `node prove-wasm.cjs FOLDER` exits 0, or says what is wrong. */
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');

const load = createRequire(join(process.argv[2], 'x'));
const tf = load('@tensorflow/tfjs');
const { setWasmPaths, version_wasm: version } = load('@tensorflow/tfjs-backend-wasm');

async function main() {
  setWasmPaths(`${dirname(load.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'))}/`);
  if (!(await tf.setBackend('wasm'))) throw new Error('the backend does not start');
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const w = tf.tensor4d([1, 0, 0, 1], [2, 2, 1, 1]);
  const [got] = tf.conv2d(x, w, 1, 'valid').dataSync();
  if (got !== 5) throw new Error(`a convolution gave ${got} instead of 5`);
  console.log(JSON.stringify({ wasm: version }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
