/**
 * The trainer: one service a box. What others may use of it; the runner, which trains, is a program of its own.
 *
 * service/     the service process: gRPC server, commands, the fence of terms; puts the other parts together
 * attempts/    what the box has accepted, kept on disk, and what is told about it
 * cleanup/     what goes from the disk, and when
 * slots/       devices as places for one attempt each, and the service's link to a slot's supervisor
 * supervisor/  the process of a slot that outlives the service; a program of its own
 * runner/      the child that trains; a program of its own. protocol/ is what supervisor and runner say to each other
 * power/       the meter
 * nats/        registration, reports and telemetry on the wire
 * host/        what the operating system knows: processes, files, the clock
 * engine/      the package that set-up installs TensorFlow for Node from; no code
 *
 * Decisions are the coordinator's; TensorFlow is loaded by the runner only.
 */
export { startTrainer, type RunningTrainer } from './service/trainer.js';
export type { TrainerOptions } from './options.js';
export type { GpuVendor } from './slots/inventory.js';
// For `wattsweep doctor`: the same look at the box as the service's.
export { inspectPower, type BoxFinding, type LimitFinding, type PowerFinding } from './service/box.js';
