/** Seeds that once failed, each with what it found. Their faults stand here, so that they mean the same for ever. */
import type { Fault } from './faults.js';

export interface Regression {
  readonly found: string;
  readonly seed: number;
  readonly faults: readonly Fault[];
}

export const regressions: readonly Regression[] = [];
