/**
 * Run as a program with `--expose-gc`: `growth.ts grid|random TRIALS`. Drives whole sweeps of 100, 1,000, ... trials, the
 * small ones several times over, and prints what one of each size costs as a line of JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ashaSpec, drive, forgetfulLog } from './drive.js';

/** A sweep of one size. */
export interface Milestone {
  readonly trials: number;
  /** Accepted. */
  readonly reports: number;
  /** Of this process, from before the submit to the end. */
  readonly processorSeconds: number;
  /** Kept at the sweep's end. */
  readonly heapBytes: number;
  readonly ledgerBytes: number;
}

const [method = '', most = ''] = process.argv.slice(2);
if (method !== 'grid' && method !== 'random') throw new Error(`no search ${method}`);

const SMALLEST = 100;
/** Fewer trials than these take too little time to be measured. */
const MEASURED_TRIALS = 10_000;

/** After the sweep before is forgotten. */
async function heapBytes(): Promise<number> {
  await sleep(20);
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const processorSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function measure(trials: number): Promise<Milestone> {
  const spec = ashaSpec(method === 'grid' ? 'grid' : 'random', trials);
  const repeats = Math.max(1, Math.round(MEASURED_TRIALS / trials));
  const empty = await heapBytes();
  // The threads of the collection come to rest.
  await sleep(200);
  const begin = processorSeconds();
  let log = forgetfulLog();
  let last = await drive({ log, spec, slots: 16 });
  for (let repeat = 1; repeat < repeats; repeat++) {
    log = forgetfulLog();
    last = await drive({ log, spec, slots: 16 });
  }
  const took = (processorSeconds() - begin) / repeats;
  const kept = (await heapBytes()) - empty;
  const sweep = last.state.sweeps.get('bench');
  if (sweep?.status !== 'completed') throw new Error('the sweep did not end');
  const reports = [...sweep.trials.values()].reduce((sum, trial) => sum + trial.epochs.length, 0);
  return { trials, reports, processorSeconds: took, heapBytes: kept, ledgerBytes: log.bytes };
}

// What the compiler has yet to do is not the cost of small sweeps.
await measure(1_000);
const milestones: Milestone[] = [];
for (let trials = SMALLEST; trials <= Number(most); trials *= 10) milestones.push(await measure(trials));
console.log(JSON.stringify(milestones));
