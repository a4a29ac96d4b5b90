/**
 * The fleet: which trainers are there (`registry.ts`), what they report (`reports.ts`), and commands to them
 * (`commander.ts`). Decides nothing: what it sees goes to the core as inputs, what it does are the core's actions.
 */
export { Commander } from './commander.js';
export { TrainerRegistry } from './registry.js';
export { feedReports } from './reports.js';
