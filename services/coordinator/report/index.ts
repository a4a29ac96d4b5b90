/**
 * The report of a sweep: from the state that the ledger folds to, to the facts a person wants (which setting reaches
 * the level for the least time and the least energy), as data and as Markdown, HTML and JSON.
 *
 * `analysis/` holds the definitions, on plain numbers; the files beside this one turn a `SweepState` into a `Report`;
 * `render/` turns a `Report` into text and pictures; `write.ts` puts it on disk. Nothing here decides, trains, or asks
 * the network. Numbers that the ledger does not hold are not here either: what was not read is `null`.
 */
export { buildReport, reportSchemaVersion } from './build.js';
export { renderHtml } from './render/html.js';
export { renderJson } from './render/json.js';
export { renderMarkdown } from './render/markdown.js';
export { writeReport, type ReportFiles } from './write.js';
export {
  best,
  defaultHold,
  final,
  firstHit,
  meanOfLast5,
  transition,
  type EpochValue,
  type Hold,
  type Transition,
  type TransitionStatus,
} from './analysis/curve.js';
export {
  aggregate,
  kaplanMeierMedian,
  spread,
  type Aggregate,
  type LevelObservation,
  type Spread,
} from './analysis/repeats.js';
export { costTo, epochJoules, epochSeconds, meanWatts, type Costs } from './analysis/cost.js';
export { paretoFront, type CostPair } from './analysis/pareto.js';
export type * from './types.js';
