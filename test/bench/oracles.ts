/**
 * `npm run bench -- oracles [--json] [--sequences 10000] [--seed 1]`: stopping rules against the programs whose rules
 * they are, decision by decision on random sequences: `asha` against Optuna's SuccessiveHalvingPruner, `patience` against
 * Keras' EarlyStopping. `ours` and `peer` count the stops of each; the ratio is the share of decisions that agree.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import type { AshaSpec, Goal } from '../../services/coordinator/core/index.js';
import { asha } from '../../services/coordinator/core/stopping/asha.js';
import { patience } from '../../services/coordinator/core/stopping/patience.js';
import type { StoppingRule } from '../../services/coordinator/core/stopping/rule.js';
import { pythonWith, startPeer, type Peer } from './oracles/python.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    sequences: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});
const sequences = Number(options.sequences);
const seed = Number(options.seed);

type Report = readonly [trial: string, epoch: number, value: number];
/** Null for a report of a trial that has been stopped. */
type Answer = boolean | null;

/** Mulberry32: uniform in [0, 1). */
function uniform(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What our rule answers. */
function answersOf(rule: StoppingRule, reports: readonly Report[]): Answer[] {
  const state = rule.init();
  const last = new Map<string, number>();
  const stopped = new Set<string>();
  return reports.map(([trialId, epoch, value]) => {
    if (stopped.has(trialId)) return null;
    const previousEpoch = last.get(trialId) ?? 0;
    const recent = (): number[] => [value];
    const history = () => [{ epoch, value, joules: null, seconds: null }];
    const place = { trialId, index: 0, parameters: {}, repeat: 1, epoch, previousEpoch };
    const seen = { ...place, value, recent, history };
    last.set(trialId, epoch);
    rule.absorb(state, seen);
    const stops = rule.judge(state, seen).some(({ action }) => action === 'stop');
    if (stops) stopped.add(trialId);
    return stops;
  });
}

interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  readonly unit: string;
}

async function compare(
  name: string,
  peer: Peer,
  draw: (random: () => number) => { request: object; rule: StoppingRule; reports: readonly Report[] },
): Promise<Row> {
  let [ours, theirs, equal, decisions] = [0, 0, 0, 0];
  for (let i = 0; i < sequences; i++) {
    const { request, rule, reports } = draw(uniform(seed * 1_000_003 + i));
    const ourAnswers = answersOf(rule, reports);
    const peerAnswers = (await peer.ask(request)) as Answer[];
    for (const [at, answer] of ourAnswers.entries()) {
      const other = peerAnswers[at] ?? null;
      if (answer === null && other === null) continue;
      decisions++;
      if (answer === other) equal++;
      if (answer === true) ours++;
      if (other === true) theirs++;
    }
  }
  const unit = `stops in ${decisions} decisions of ${sequences} sequences`;
  return { name, ours, peer: theirs, ratio: equal / decisions, unit };
}

const goalOf = (random: () => number): Goal => (random() < 0.5 ? 'maximize' : 'minimize');
const whole = (random: () => number, min: number, max: number): number =>
  min + Math.floor(random() * (max - min + 1));
/** One of a few values, so that ties are common, or of many; all exact in the single precision of Keras' backend. */
const valueOf = (random: () => number): number =>
  random() < 0.5 ? whole(random, 0, 7) / 8 : whole(random, 0, 4095) / 4096;

/** Trials that report in turns drawn at random; `skips` lets a report leave out up to three epochs. */
function drawHalving(random: () => number, skips: boolean) {
  const goal = goalOf(random);
  const spec: AshaSpec = {
    rule: 'asha',
    firstRung: whole(random, 1, 3),
    eta: whole(random, 2, 4),
    window: 1,
    compareWithin: [],
    brackets: 1,
    version: 2,
  };
  const epochs = new Map<string, number>();
  const reports = Array.from({ length: 60 }, (): Report => {
    const trial = `t${whole(random, 0, 9)}`;
    const epoch = (epochs.get(trial) ?? 0) + (skips ? whole(random, 1, 4) : 1);
    epochs.set(trial, epoch);
    return [trial, epoch, valueOf(random)];
  });
  const request = { kind: 'asha', goal, firstRung: spec.firstRung, eta: spec.eta, reports };
  return { request, rule: asha(spec, Number.MAX_SAFE_INTEGER, goal, 's'), reports };
}

function drawPatience(random: () => number) {
  const goal = goalOf(random);
  const waits = whole(random, 0, 4);
  const minDelta = random() < 0.5 ? 0 : whole(random, 1, 3) / 8;
  const startEpoch = whole(random, 1, 4);
  const reports = Array.from({ length: 20 }, (_, i): Report => ['t', i + 1, valueOf(random)]);
  const values = reports.map(([, , value]) => value);
  return {
    request: { kind: 'patience', goal, patience: waits, minDelta, startEpoch, values },
    rule: patience({ rule: 'patience', patience: waits, minDelta, startEpoch }, goal),
    reports,
  };
}

const optuna = startPeer(await pythonWith(['optuna==5.0.0']), 'stopping.py');
const keras = startPeer(await pythonWith(['keras==3.15.1', 'jax==0.6.2']), 'stopping.py');
await Promise.all([optuna.ask(), keras.ask()]);
console.error(`seed ${seed}`);
const rows = [
  await compare('asha: Optuna SuccessiveHalvingPruner, every epoch', optuna, (random) =>
    drawHalving(random, false),
  ),
  await compare('asha: Optuna SuccessiveHalvingPruner, epochs left out', optuna, (random) =>
    drawHalving(random, true),
  ),
  await compare('patience: Keras EarlyStopping', keras, drawPatience),
];
optuna.close();
keras.close();

if (options.json) console.log(JSON.stringify(rows, null, 2));
else {
  const table = new Table({ head: ['name', 'ours', 'peer', 'ratio', 'unit'], style: { head: [] } });
  for (const { name, ours, peer, ratio, unit } of rows)
    table.push([name, ours, peer, ratio.toFixed(6), unit]);
  console.log(table.toString());
}
