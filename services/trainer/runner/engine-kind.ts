/** What an engine is, native or not. */
import type { TensorFlow } from './graph/binding.js';
import type { ProgramSource, Runnable } from './graph/signature.js';

export interface Engine {
  readonly tf: TensorFlow;
  /** `tfjs-wasm` trains the same some twenty times slower, and in float32 only. */
  readonly name: 'tensorflow' | 'tfjs-wasm';
  /** Of TensorFlow, e.g. `2.21.0`, or of tfjs. */
  readonly version: string;
  readonly mode: 'graph' | 'eager';
  /** Why it is not the native one; null for that. */
  readonly fallback: string | null;
  /** What computes, as a convolution showed. */
  readonly device: { readonly kind: 'gpu' | 'cpu'; readonly name: string };
  /** Makes signatures ready to run. */
  program(source: ProgramSource): Runnable;
  /** Tensors that are held now, beside the variables of programs. */
  heldTensors(): number;
}
