/**
 * The fleet: which trainers are there (`registry.ts`), what they report (`reports.ts`), and commands to them
 * (`commander.ts`), and the checkpoints that they have put into NATS (`stored-checkpoints.ts`). Decides nothing: what it sees goes to the core as inputs, what it does are the core's actions.
 */
export { KEPT_REPORTS, type KeptReports } from './trimming.js';
export type { Answer } from './answer.js';
export { TrainerClients, type OutputSource, type TrainerCommands } from './clients.js';
export { Commander, type CommanderOptions } from './commander.js';
export { ReportsProgress } from './progress.js';
export { TrainerRegistry } from './registry.js';
export { forgetCheckpoints, type CheckpointShelf } from './stored-checkpoints.js';
export { forgetCode, type CodeShelf } from './stored-code.js';
export { feedReports, type ReportsLink } from './reports.js';
