/** Reports of outlined sweeps, and what tests ask of them. */
import { buildReport, type Report } from '../../../services/coordinator/report/index.js';
import type { settingsTable } from '../../../services/coordinator/report/render/tables.js';
import { BEGIN, sweepState, type SweepOutline } from '../../support/sweep-state.js';

export const build = (outline: SweepOutline): Report =>
  buildReport(sweepState(outline), { now: BEGIN + 7_200_000 });

export const objective = (over: Partial<Report['sweep']['objective']> = {}) => ({
  metric: 'val_accuracy',
  goal: 'maximize' as const,
  target: null,
  holdEpochs: 2,
  holdTolerance: 0.002,
  ...over,
});

/** Rises by steps to `top` at epoch `at`, and stays. */
export const rising = (at: number, top: number, epochs: number): number[] =>
  Array.from({ length: epochs }, (_, i) => (i + 1 >= at ? top : 0.5 + i / 1000));

export const codes = (report: Report): readonly string[] => report.warnings.map((warning) => warning.code);

export const textsOf = (table: ReturnType<typeof settingsTable>): readonly string[][] =>
  table.rows.map((row) => row.map((cell) => cell.text));
