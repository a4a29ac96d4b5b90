/** What a reader must know before believing the numbers, and how the numbers are defined. */
import { extent } from './analysis/extent.js';
import type { SweepSpec } from '../core/spec.js';
import type { SweepState } from '../core/state.js';
import { recipes } from '../../../proto/recipes.js';
import { count, joulesText, levelText, listText } from './render/format.js';
import { levelsOf, MODEL_SEPARATOR } from './trials.js';
import type { Cell, ReportWarning, StoppedTrial, TrialSummary, WarningCode } from './types.js';
import { validationRemark } from './validation.js';

/** What a method leaves out. */
const scopeByMethod: ReadonlyMap<string, string> = new Map([
  ['nvml-counter', 'the GPU board only'],
  ['nvml-power', 'the GPU board only'],
  ['nvidia-smi', 'the GPU board only'],
  ['hwmon', 'the device that the sensor covers only'],
  ['rapl', 'the CPU package only'],
  ['estimate', 'a constant wattage times seconds, not a measurement'],
  ['replay', 'published measurements of the GPU board of another machine'],
]);

/** Why epochs without a reading have none, each reason once. */
function absentReasons(sweep: SweepState): readonly string[] {
  const reasons = new Set<string>();
  for (const trial of sweep.trials.values()) {
    for (const { train } of trial.epochs) {
      if (train.joules === null && train.absentReason !== '') reasons.add(train.absentReason);
    }
  }
  return [...reasons];
}

function powerWarnings(sweep: SweepState, trials: readonly TrialSummary[]): readonly ReportWarning[] {
  const ran = trials.filter((trial) => trial.epochs > 0);
  if (ran.length === 0) return [];
  const warnings: ReportWarning[] = [];
  const why = absentReasons(sweep);
  const because = why.length > 0 ? ` (${why.join('; ')})` : '';
  const unread = ran.filter((trial) => trial.curve.joules.every((j) => j === null)).length;
  const notWhole = ran.filter((trial) => trial.joules === null).length;
  if (unread === ran.length) {
    warnings.push({
      code: 'no_power_meter',
      text: `Nothing read the power${because}: watts and energy are unknown, not zero.`,
    });
  } else if (notWhole > 0) {
    warnings.push({
      code: 'partial_power',
      text: `The power of ${count(notWhole, 'trial')} was not read in every epoch${because}; their energy is left out.`,
    });
  }
  const estimated = ran.filter((trial) => trial.estimated).length;
  if (estimated > 0) {
    warnings.push({
      code: 'estimated_power',
      text: `The energy of ${count(estimated, 'trial')} is an estimate, from a constant wattage that the box's operator gave: it says nothing that the times do not say. It is marked ≈ wherever it shows.`,
    });
  }
  const replayed = ran.filter((trial) => trial.powerMethods.includes('replay')).length;
  if (replayed > 0) {
    warnings.push({
      code: 'replayed',
      text: `${count(replayed, 'trial')} trained nothing here: seconds and joules were measured and published elsewhere, and are replayed. They say nothing of this machine.`,
    });
  }
  const disagreements = ran.map(({ metering }) => metering.disagreement ?? 0);
  const disagreeing = disagreements.filter((value) => value > NOTABLE_DISAGREEMENT);
  if (disagreeing.length > 0) {
    const [, most] = extent(disagreeing);
    warnings.push({
      code: 'meters_disagree',
      text: `In ${count(disagreeing.length, 'trial')} the energy counter and the integrated power differ, by up to ${Math.round(100 * most)} %. The counter is what is shown; short trials and power that changes quickly do that, and so does a broken sensor.`,
    });
  }
  const shared = ran.filter(({ metering }) => metering.share !== null).length;
  if (shared > 0) {
    warnings.push({
      code: 'shared_devices',
      text: `${count(shared, 'trial')} shared a device with others: what it used was divided evenly among those that had it at the time, nothing is counted twice. Which of them used more nobody can tell; compare energy on devices that a trial has alone.`,
    });
  }
  return warnings;
}

/** @see services/trainer/runner/wasm.ts */
function fallbackWarning(sweep: SweepState): readonly ReportWarning[] {
  const fell = [...sweep.trials.values()].filter(({ attempts }) =>
    attempts.some(({ engine }) => engine['name'] === 'tfjs-wasm'),
  ).length;
  if (fell === 0) return [];
  return [
    {
      code: 'wasm_fallback',
      text: `${count(fell, 'trial')} trained by WebAssembly, on a box without TensorFlow's library: accuracies are what they would be, seconds and joules are some twenty times too large. Their rows name the device with (WebAssembly, 1 thread).`,
    },
  ];
}

/** Counter and integral that differ by less are as one. */
const NOTABLE_DISAGREEMENT = 0.1;

/** Half width of the 95 % interval of an accuracy measured on `images` images (normal approximation). */
const accuracyResolution = (accuracy: number, images: number): number =>
  1.96 * Math.sqrt((accuracy * (1 - accuracy)) / images);

function resolutionWarning(spec: SweepSpec, trials: readonly TrialSummary[]): readonly ReportWarning[] {
  const parameter = recipes.get(spec.recipe)?.parameters['validation_images'];
  const top = trials.find((trial) => trial.rank === 1);
  if (parameter === undefined || top?.best == null || spec.objective.metric !== 'val_accuracy') return [];
  const images = top.parameters['validation_images'] ?? parameter.default;
  if (typeof images !== 'number' || images < 1) return [];
  const width = accuracyResolution(top.best.value, images);
  return [
    {
      code: 'resolution',
      text: `${images.toLocaleString('en-US')} validation images tell the best accuracy to ±${width.toFixed(4)} (95 %, from their number alone): smaller differences need repeats.`,
    },
  ];
}

export function buildWarnings(
  sweep: SweepState,
  cells: readonly Cell[],
  trials: readonly TrialSummary[],
  stopped: readonly StoppedTrial[],
  inProgress: boolean,
): readonly ReportWarning[] {
  const { spec } = sweep;
  const when = (condition: boolean, code: WarningCode, text: string): readonly ReportWarning[] =>
    condition ? [{ code, text }] : [];
  const unconfirmed = [
    ...new Set(cells.flatMap((c) => c.levels.filter((l) => l.epochs.unconfirmed > 0).map((l) => l.level))),
  ];
  const ruled = stopped.filter((stop) => stop.state === 'stopped' && stop.rule !== null).length;
  const devices = [...new Set(cells.map((cell) => cell.device))];
  const moved = trials.filter((trial) => trial.device?.includes(MODEL_SEPARATOR)).length;
  const failed = trials.filter((trial) => trial.state === 'failed');
  const wasted = trials.reduce((sum, trial) => sum + (trial.wastedJoules ?? 0), 0);
  const { holdEpochs, target } = spec.objective;
  const levels = levelsOf(spec);
  const beyondTarget = target === null ? [] : levels.slice(levels.indexOf(target) + 1);
  const endedAtTarget = stopped.filter((stop) => stop.state === 'succeeded').length;
  return [
    ...when(
      inProgress,
      'in_progress',
      `The sweep has not ended${sweep.openTrials > 0 ? `, ${count(sweep.openTrials, 'trial')} still open` : ''}: everything here may change.`,
    ),
    ...powerWarnings(sweep, trials),
    ...fallbackWarning(sweep),
    ...when(
      devices.length > 1,
      'several_devices',
      `The trials ran on ${listText(devices)}: each has its own rows, and nothing is averaged across them.`,
    ),
    ...when(
      moved > 0,
      'moved_between_devices',
      `${count(moved, 'trial')} moved from one device model to another; their rows name both.`,
    ),
    ...when(
      unconfirmed.length > 0,
      'unconfirmed_levels',
      `A "?" at ${listText(unconfirmed.map(levelText))} is unconfirmed: the trial ended less than ${count(holdEpochs, 'epoch')} after it first reached the level, so nobody saw whether it holds.`,
    ),
    ...when(
      ruled > 0 && levels.length > 0,
      'stopped_count_as_not_reached',
      `A rule stopped ${count(ruled, 'trial')}; the levels that ${ruled === 1 ? 'it' : 'they'} had not reached by then count as not reached.`,
    ),
    ...when(
      endedAtTarget > 0 && beyondTarget.length > 0,
      'target_ends_trials',
      `${count(endedAtTarget, 'trial')} ended at the target ${levelText(target ?? 0)}: they did not try for ${listText(beyondTarget.map(levelText))}.`,
    ),
    ...when(
      cells.length > 1 && cells.every((cell) => cell.trialIds.length === 1),
      'single_repeat',
      'Each setting ran once: a part of every difference is luck of the seed. Three to five repeats tell.',
    ),
    ...when(
      trials.some((trial) => trial.best !== null),
      'chosen_on_validation_data',
      validationRemark(sweep, trials),
    ),
    ...resolutionWarning(spec, trials),
    ...when(
      wasted > 0,
      'joules_outside_epochs',
      `${joulesText(wasted)} went into starting up, epochs cut short and epochs trained again; they are in no other number here.`,
    ),
    ...when(
      failed.length > 0,
      'failed_trials',
      `${count(failed.length, 'trial')} failed: ${listText([...new Set(failed.map((trial) => trial.code || 'no code'))])}. The leaderboard says why.`,
    ),
  ];
}

/** The definitions behind the tables. They are this project's own; other authors may judge a transition differently. */
export function definitions(spec: SweepSpec, cells: readonly Cell[]): readonly string[] {
  const { holdEpochs: k, holdTolerance: d, goal, metric } = spec.objective;
  const side = goal === 'maximize' ? 'at least' : 'at most';
  const toward = goal === 'maximize' ? 'below' : 'above';
  const methods = [...new Set(cells.flatMap((cell) => cell.powerMethods))];
  return [
    `Epochs to a level T: the first epoch whose ${metric} is ${side} T and after which it stays no more than ${d} ${toward} T for ${count(k, 'epoch')}. "E?": reached, but the trial ended before those ${k} epochs. ">E": not reached in E epochs. This is Wattsweep's own definition: tables published elsewhere may judge by eye.`,
    'Over repeats: mean ± standard deviation where every repeat reached the level for sure; else the Kaplan-Meier median, or ">E" where fewer than half got there, with the number of repeats that did. Repeats that a rule stopped or that diverged take no part in the median and count as not reached.',
    'Time and energy to a level: sums over epochs 1 to E of training and evaluation, waiting for data included. Starting up, unfinished epochs and epochs that were trained again are not in them. The first epoch, with its warm-up, is.',
    'Watts are energy divided by time; seconds and joules per epoch are means over all epochs. Values are compared unrounded and printed with four digits.',
    ...(methods.length > 0
      ? [
          `Energy was read by ${listText(methods.map((m) => `${m} (${scopeByMethod.get(m) ?? 'scope unknown'})`))}; the rest of the computer, its idle draw and the losses of its power supply are not in it.`,
        ]
      : []),
  ];
}
