/**
 * `npm run test:parity [-- --write]`: trains with real Keras anew and compares all weights; `--write` also rewrites the
 * fixture that the test suite compares with.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { openEngine, setThreads } from '../../services/trainer/runner/engine.js';
import type { Reference } from './compare.js';
import { beyond, distance } from './compare.js';
import { kerasPython, runPython } from './keras.js';
import { replay } from './replay.js';

const { values: options } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const python = kerasPython();
const folder = mkdtempSync(join(tmpdir(), 'wattsweep-parity-'));
let reference: Reference;
try {
  const output = join(folder, 'reference.json');
  runPython(python, [here('./reference.py'), output, '--networks']);
  reference = JSON.parse(readFileSync(output, 'utf8')) as Reference;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (options.write)
  runPython(python, [here('./reference.py'), here('../fixtures/keras-parity.json'), '--samples', '12']);

setThreads(2);
const engine = openEngine({ model: 'GPU' });
const faults: string[] = [];
const table = new Table({ style: { head: [], border: [], compact: true } });
for (const [name, expected] of Object.entries(reference.cases)) {
  const measured = distance(await replay(engine, name, expected.rates), expected);
  if (table.length === 0) table.push(['largest difference', ...Object.keys(measured)]);
  table.push([name, ...Object.values(measured).map((value: number) => value.toExponential(1))]);
  faults.push(...beyond(name, measured));
}
console.log(table.toString());
console.log(
  `Keras ${reference.keras} on TensorFlow ${reference.tensorflow}; ours on TensorFlow ${engine.version}`,
);
if (reference.tensorflow !== engine.version) faults.push('the two TensorFlow versions differ');
for (const fault of faults) console.log(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
