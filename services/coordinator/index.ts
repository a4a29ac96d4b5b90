/**
 * The coordinator: takes sweeps, decides what runs where and what stops, and keeps every decision in the ledger.
 *
 * `core/` decides (pure), `ledger/` records, `leadership/` says who may, `fleet/` speaks with trainers, `api/` with
 * people, `nats/` is the adapter underneath, `telemetry/` feeds Prometheus, `modules/` runs users' own rules, `spec/` reads sweep files, `report/` writes
 * reports. `coordinator.ts` puts them together. Training and GPU access live in the trainer.
 */
export { startCoordinator, type RunningCoordinator } from './coordinator.js';
export type { CoordinatorOptions } from './options.js';
