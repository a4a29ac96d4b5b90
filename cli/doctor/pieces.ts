/** Checks of what set-up brings: the engine, nats-server, CIFAR-10. */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WattsweepError } from '../../proto/errors.js';
import {
  cifar10Dir,
  enginePath,
  natsServerPath,
  projectRoot,
  wasmPath,
  wasmWanted,
} from '../../setup/locate.mjs';
import { checkNatsVersion } from '../nats/server.js';
import { type Finding, bad, ok, reservation } from './finding.js';

const run = promisify(execFile);

const SET_UP = 'Run `node setup/ready.mjs`, or `npm start`.';
/** TensorFlow's first start on a cold disk takes tens of seconds. */
const PROOF_WITHIN_MS = 120_000;

interface Proof {
  readonly tensorflow: string;
  readonly gpu: boolean;
}

/**
 * Loads the engine in a child process and computes a convolution, its gradient and a graph there: a native crash, which
 * a wrong library is likely to bring, then ends the child and not the doctor.
 */
export async function checkEngine(gpuExpected: boolean): Promise<Finding> {
  const folder = enginePath();
  if (wasmWanted() === true || (folder === null && wasmPath() !== null))
    return reservation(
      'engine',
      'training runs by WebAssembly, some twenty times slower than natively',
      'Run `node setup/ready.mjs --only=engine`: it says why the native engine cannot be had here.',
    );
  if (folder === null) return bad('engine', 'the native engine is not set up', SET_UP);
  try {
    const script = join(projectRoot(), 'setup', 'prove-engine.cjs');
    const { stdout } = await run(process.execPath, [script, folder], {
      timeout: PROOF_WITHIN_MS,
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
    });
    const proof = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Proof;
    const detail = `TensorFlow ${proof.tensorflow} computed a convolution on the ${proof.gpu ? 'GPU' : 'CPU'}`;
    return gpuExpected && !proof.gpu
      ? reservation(
          'engine',
          `${detail}, though there is a GPU`,
          'Run `node setup/ready.mjs --gpu` and look at the driver.',
        )
      : ok('engine', detail);
  } catch (error) {
    const said =
      error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : '';
    return bad(
      'engine',
      `the engine in ${folder} does not compute: ${said || String(error)}`,
      `${SET_UP} Add --verify.`,
    );
  }
}

export async function checkNats(): Promise<Finding> {
  const binary = natsServerPath();
  if (binary === null) return bad('nats-server', 'not set up', SET_UP);
  try {
    return ok('nats-server', `${await checkNatsVersion(binary)} (${binary})`);
  } catch (error) {
    if (!(error instanceof WattsweepError)) throw error;
    return bad('nats-server', error.message, error.advice);
  }
}

/** A record is a label and 32 x 32 x 3 bytes; each of the six files holds 10,000. */
const BATCH_BYTES = 10_000 * 3073;

export function checkCifar10(): Finding {
  const folder = cifar10Dir();
  if (folder === null) return bad('CIFAR-10', 'the images are not set up', SET_UP);
  const names = [...[1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`), 'test_batch.bin'];
  const wrong = names.filter(
    (name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size !== BATCH_BYTES,
  );
  return wrong.length === 0
    ? ok('CIFAR-10', `60,000 images in ${folder}`)
    : bad('CIFAR-10', `missing or cut: ${wrong.join(', ')} in ${folder}`, `${SET_UP} Add --verify.`);
}
