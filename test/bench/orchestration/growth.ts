/**
 * Run as a program with `--expose-gc`: `growth.ts grid|random TRIALS`. Drives one large sweep and prints, at each power
 * of ten of its trials and reports, the processor time and the memory so far, as a line of JSON.
 */
import { ashaSpec, drive, forgetfulLog } from './drive.js';

/** At a power of ten of trials or of reports. */
export interface Milestone {
  readonly trials: number;
  readonly reports: number;
  /** Of this process since the sweep was submitted. */
  readonly processorSeconds: number;
  /** After a collection, beyond what it was before the sweep. */
  readonly heapBytes: number;
  readonly ledgerBytes: number;
}

const [method = '', trials = ''] = process.argv.slice(2);
if (method !== 'grid' && method !== 'random') throw new Error(`no search ${method}`);

const collect = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
const processorSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const log = forgetfulLog();
const milestones: Milestone[] = [];
const emptyHeap = collect();
let spent = 0;
let since = processorSeconds();
let nextTrials = 100;
let nextReports = 1_000;
const note = (trialsEnded: number, reports: number): void => {
  spent += processorSeconds() - since;
  milestones.push({
    trials: trialsEnded,
    reports,
    processorSeconds: spent,
    heapBytes: collect() - emptyHeap,
    ledgerBytes: log.bytes,
  });
  // The collection is not the sweep's.
  since = processorSeconds();
};
const committer = await drive({
  log,
  spec: ashaSpec(method, Number(trials)),
  slots: 16,
  onProgress: ({ trialsEnded, reports }) => {
    if (trialsEnded < nextTrials && reports < nextReports) return;
    while (nextTrials <= trialsEnded) nextTrials *= 10;
    while (nextReports <= reports) nextReports *= 10;
    note(trialsEnded, reports);
  },
});
const sweep = committer.state.sweeps.get('bench');
if (sweep?.status !== 'completed') throw new Error('the sweep did not end');
note(
  sweep.trials.size,
  [...sweep.trials.values()].reduce((sum, trial) => sum + trial.epochs.length, 0),
);
console.log(JSON.stringify(milestones));
