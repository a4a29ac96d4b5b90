/**
 * The trainer: one service a box. What others may use of it; the runner, which trains, is a program of its own.
 *
 * service/ puts the parts together; attempts/ what was accepted and what is told about it; slots/ devices and their
 * supervisors; supervisor/ the process that outlives the service; power/ the meter; nats/ the wire; runner/ the child.
 */
export { startTrainer, type RunningTrainer } from './service/trainer.js';
export type { TrainerOptions } from './options.js';
// For `wattsweep doctor`: the same look at the box as the service's.
export { inspectPower, type PowerFinding } from './service/box.js';
