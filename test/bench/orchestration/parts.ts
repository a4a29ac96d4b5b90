/**
 * The four workloads on the whole real path, ours and Ray's: what runs, and how overhead and rates are computed, alike for
 * both. Both are measured warm: ours after a sweep that started every slot's processes, Ray from the moment when each of
 * its 16 slots has delivered its first result (whatever came before it is left out of its time and of its counts).
 */
import { execFileSync } from 'node:child_process';
import type { RayPart, Taken } from './ray.js';

export const SLOTS = 16;

export interface Part {
  readonly id: 'a' | 'b' | 'c' | 'd';
  readonly name: string;
  readonly unit: string;
  readonly goal: string;
  /** Trials of one round of ours and of the peer's. */
  readonly trials: { readonly ours: number; readonly peer: number };
  /** Rounds of the peer; they are long. */
  readonly peerRounds: number;
  sweep(trials: number): string;
  /** Each of `buffers` is a run of its own. */
  readonly peer: Omit<RayPart, 'trials' | 'buffer'> & { readonly buffers: readonly number[] };
  /** The number that is compared. */
  measure(taken: Taken): number;
  readonly better: 'lower' | 'higher';
}

/** A trial's share of the wall time beyond its own work, which `SLOTS` do side by side. Milliseconds. */
const overheadMs =
  (workSeconds: number) =>
  ({ seconds, trials }: Taken): number =>
    (1_000 * (seconds - (trials * workSeconds) / SLOTS)) / trials;

/** The replay recipe computes nothing: an epoch is a line, as soon as it is asked for or after a second. */
const REPLAYED_EPOCH_SECONDS = 17.15;

const replay = (epochs: number, more: string, sweep: string): string => `name: bench
recipe: replay
objective: { metric: target_reached, goal: maximize }
max_epochs: ${String(epochs)}
fixed: { dataset: cifar100, target_level: 0.95, batch_size: 128, gpu_power_limit_watts: 250${more} }
sweep: ${sweep}
`;

/** Different points at speeds at which an epoch takes nothing. */
const atOnce = (epochs: number, trials: number): string =>
  replay(epochs, '', `{ speed: { min: 1.0e+8, max: 1.0e+9, count: ${String(trials)} } }`);

/** Different points at speeds at which an epoch takes a second, to a millionth. */
const aSecond = (trials: number): string => {
  const { min, max } = { min: REPLAYED_EPOCH_SECONDS, max: REPLAYED_EPOCH_SECONDS * (1 + 1e-6) };
  return replay(1, '', `{ speed: { min: ${String(min)}, max: ${String(max)}, count: ${String(trials)} } }`);
};

/** The interpreter itself, as Ray has it: a version manager's \`python3\` is a script that takes longer than Python. */
export const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
  encoding: 'utf8',
}).trim();

const program = (trials: number): string => `name: bench
command: [${python}, -c, 'print("{\\"epoch\\": 1, \\"loss\\": 0.5}")']
objective: { metric: loss, goal: minimize }
max_epochs: 1
sweep: { x: { min: 0, max: 1, count: ${String(trials)} } }
`;

const REPORTS = 3_000;

export const parts: readonly Part[] = [
  {
    id: 'a',
    name: 'trials of one report, warm runners (Ray: class trainables, reuse_actors)',
    unit: 'ms of overhead a trial',
    goal: '>= 40 times less',
    trials: { ours: 400, peer: 200 },
    peerRounds: 2,
    sweep: (trials) => atOnce(1, trials),
    peer: { kind: 'class', reports: 1, seconds: 0, buffers: [1] },
    measure: overheadMs(0),
    better: 'lower',
  },
  {
    id: 'b',
    name: 'a python3 process a trial (Ray: function trainables)',
    unit: 'ms of overhead a trial',
    goal: '>= 20 times less',
    trials: { ours: 200, peer: 48 },
    peerRounds: 2,
    sweep: program,
    peer: { kind: 'function', reports: 1, seconds: 0, buffers: [1] },
    measure: overheadMs(0),
    better: 'lower',
  },
  {
    id: 'c',
    name: '300 trials of 1 s, 19 waves (Ray: class trainables, reuse_actors)',
    unit: 's for 300 trials (floor 19.0)',
    goal: '<= 20.5 s',
    trials: { ours: 300, peer: 300 },
    peerRounds: 1,
    sweep: aSecond,
    peer: { kind: 'class', reports: 1, seconds: 1, buffers: [1] },
    // Ray's first wave is left out of what it took: it is put back at its floor.
    measure: ({ seconds, trials }) => (trials < 300 ? seconds + 1 : seconds),
    better: 'lower',
  },
  {
    id: 'd',
    name: `16 trials x ${String(REPORTS)} reports (Ray: class trainables)`,
    unit: 'reports/s',
    goal: '>= 20,000, >= 30 times',
    trials: { ours: 16, peer: 16 },
    peerRounds: 1,
    sweep: (trials) => atOnce(REPORTS, trials),
    peer: { kind: 'class', reports: REPORTS, seconds: 0, buffers: [1, 100] },
    measure: ({ seconds, reports }) => reports / seconds,
    better: 'higher',
  },
];
