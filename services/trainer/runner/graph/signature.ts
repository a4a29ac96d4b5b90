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

/** @internal How a traced signature is called. */
export interface CompiledSignature {
  readonly feeds: readonly {
    readonly name: string;
    readonly spec: Required<TensorSpec>;
    readonly length: number;
  }[];
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
