/** What a program is made of: variables, and signatures that share them. */
import type { Tensor } from './binding.js';
import type { Precision } from './precision.js';

export type FeedValues = Float32Array | Int32Array;
export type Tensors = Readonly<Record<string, Tensor>>;

export interface TensorSpec {
  readonly shape: readonly number[];
  /** @default 'float32' */
  readonly dtype?: 'float32' | 'int32';
}

export interface Signature {
  readonly feeds: Readonly<Record<string, TensorSpec>>;
  /**
   * A pure function of the variables and the feeds. Variables absent from `state` keep their value; `fetches` are
   * computed from the values before the update.
   */
  readonly step: (state: Tensors, feeds: Tensors) => { readonly state?: Tensors; readonly fetches?: Tensors };
}

export interface ProgramSource {
  /** Variables, all float32; zero-less until {@link Program.write} gives them values. */
  readonly variables: Readonly<Record<string, { readonly shape: readonly number[] }>>;
  readonly signatures: Readonly<Record<string, Signature>>;
  /** @default 'float32' */
  readonly precision?: Precision;
}

/** Signatures at work on variables of their own. */
export interface Runnable {
  /**
   * Runs one signature; blocks the event loop until the device has finished. Values are row-major; the arrays given are
   * only read, and free again when this returns.
   *
   * @throws Error for an unknown signature, a missing or additional feed, a feed of the wrong type or length, and
   * whatever the backend reports.
   */
  run(signature: string, feeds?: Readonly<Record<string, FeedValues>>): Record<string, FeedValues>;
  /** Copies of all variables, by name. */
  read(): Record<string, Float32Array>;
  /** Sets all variables. @throws Error when one is missing, unknown, or of another length. */
  write(values: Readonly<Record<string, Float32Array>>): void;
  /** Frees everything. May be called twice. */
  dispose(): void;
}

/** A feed or variable, complete. */
export interface Feed {
  readonly name: string;
  readonly spec: Required<TensorSpec>;
  readonly length: number;
}

/** @internal How a traced signature is called. */
export interface CompiledSignature {
  readonly feeds: readonly Feed[];
  readonly feedNames: string;
  readonly fetches: readonly string[];
  readonly fetchNames: string;
}

// No signature of a caller starts with a dot.
export const READ = '.read';
export const WRITE = '.write';
export const DONE = '.done';
export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);
