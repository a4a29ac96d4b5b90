/** What takes part in the benchmark of the training step. */
import type { Engine } from '../../../services/trainer/runner/engine.js';

export interface Cell {
  readonly depth: number;
  readonly batch: number;
}

/** Of one step. Processor time is summed over threads: it says less about speed, but hardly feels a busy machine. */
export interface StepTime {
  readonly wallMs: number;
  readonly processorMs: number;
}

export interface Prepared {
  /** What was chosen in preparing, and why. */
  readonly note?: string;
  /** Takes so many optimizer steps. */
  block(steps: number): Promise<StepTime>;
  dispose(): Promise<void> | void;
}

export interface Contender {
  readonly name: string;
  prepare(engine: Engine, cell: Cell): Promise<Prepared> | Prepared;
}
