/** The WebAssembly engine: tfjs on one thread, op by op. A last resort, for boxes without TensorFlow's library. */
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import type { Engine } from './engine-kind.js';
import type { TensorFlow } from './graph/binding.js';
import { EagerProgram } from './graph/eager.js';

interface WasmBackend {
  setWasmPaths(folder: string): void;
  readonly version_wasm: string;
}

/**
 * Loads it from `folder`, which holds `node_modules/@tensorflow`.
 *
 * @param why It and not the native one.
 * @param prove Computes something on it. @throws Error when the result is wrong
 * @throws WattsweepError ENGINE_MISSING when it does not load or compute.
 */
export async function openWasm(
  folder: string,
  why: string,
  prove: (tf: TensorFlow) => void,
): Promise<Engine> {
  try {
    const load = createRequire(join(folder, 'package.json'));
    const tf = load('@tensorflow/tfjs') as TensorFlow;
    const wasm = load('@tensorflow/tfjs-backend-wasm') as WasmBackend;
    wasm.setWasmPaths(
      `${dirname(load.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'))}/`,
    );
    if (!(await tf.setBackend('wasm'))) throw new Error('its backend does not start');
    prove(tf);
    const programs: EagerProgram[] = [];
    return {
      tf,
      name: 'tfjs-wasm',
      version: wasm.version_wasm,
      mode: 'eager',
      fallback: why,
      // The name keeps its rows apart from those of the native engine wherever devices are told apart.
      device: { kind: 'cpu', name: `${cpus()[0]?.model.trim() ?? 'CPU'} (WebAssembly, 1 thread)` },
      program: (source) => {
        const program = new EagerProgram(tf, source);
        programs.push(program);
        return program;
      },
      heldTensors: () => programs.reduce((held, { variables }) => held - variables, tf.memory().numTensors),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WattsweepError(
      'ENGINE_MISSING',
      `the WebAssembly engine in ${folder} does not work: ${reason}`,
      {
        cause,
      },
    );
  }
}
