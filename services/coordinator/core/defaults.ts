/** What holds where neither the sweep file nor the coordinator's settings say otherwise. */
import type { RetriesSpec } from './spec.js';

/** Retries of a trial by class of its attempts' ends. */
export const DEFAULT_RETRIES: Readonly<Required<RetriesSpec>> = {
  crashed: 2,
  lost: 5,
  preempted: 10,
  outOfMemory: 3,
  refused: 0,
};

/** Failures in a row on a box before its quarantine. */
export const QUARANTINE_AFTER = 3;

/** Points that a blocked sweep may have. */
export const MAX_BLOCK = 1000;
