/** How many epochs a sweep will take with its stopping rule at work, by the arithmetic of the rule's budget. */
import { axisValues } from '../core/search/index.js';
import type { AshaSpec, Axes, MedianSpec, StoppingSpec, SweepSpec } from '../core/spec.js';
import { ashaRungs, hyperbandBrackets } from '../core/stopping/index.js';

export interface PlanRung {
  readonly epochs: number;
  /** Bracket s, from 0. */
  readonly bracket: number;
  /** Expected number of points that go on beyond the rung. */
  readonly survivors: number;
}

export interface Expected {
  /** Lowest first within a bracket; empty for rules without rungs. */
  readonly rungs: readonly PlanRung[];
  /** Null when it depends on the curves alone. */
  readonly expectedEpochs: number | null;
  /** How these were computed, in words. */
  readonly expectedHow: string;
}

export function expectedOf(spec: SweepSpec, points: number): Expected {
  return ofRule(spec, spec.stopping, points);
}

function ofRule(spec: SweepSpec, rule: StoppingSpec, points: number): Expected {
  const { maxEpochs, repeats } = spec;
  switch (rule.rule) {
    case 'none': {
      const expectedHow =
        'no stopping rule: every trial runs to max_epochs unless it holds the target before';
      return { rungs: [], expectedEpochs: points * repeats * maxEpochs, expectedHow };
    }
    case 'patience':
    case 'threshold':
    case 'energy_to_target':
    case 'module':
      return depends(`what ${rule.rule} stops depends on the curves`);
    case 'median':
      return ofMedian(spec, rule, points);
    case 'hyperband':
      return ofHyperband(spec, rule.eta, points);
    case 'asha':
      return rule.mode === 'promote' ? ofPromotion(spec, rule, points) : ofAsha(spec, rule, points);
    case 'composite': {
      const parts = rule.rules.map((part) => ofRule(spec, part, points));
      const known = parts.filter(({ expectedEpochs }) => expectedEpochs !== null);
      const least = known.sort((a, b) => (a.expectedEpochs ?? 0) - (b.expectedEpochs ?? 0))[0];
      if (least === undefined) return depends('what composite stops depends on the curves');
      return { ...least, expectedHow: `the smallest of the rules, each taken alone; ${least.expectedHow}` };
    }
  }
}

const depends = (expectedHow: string): Expected => ({ rungs: [], expectedEpochs: null, expectedHow });

const tenths = (n: number): number => Math.round(n * 10) / 10;

/** Sizes of ASHA's brackets, which its hash fills by weight. */
function bracketsOf(asha: AshaSpec, points: number): { readonly bracket: number; readonly size: number }[] {
  const weights = Array.from(
    { length: asha.brackets },
    (_, s) => asha.eta ** (asha.brackets - 1 - s) / (asha.brackets - s),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight, bracket) => ({ bracket, size: (points * weight) / total }));
}

function ofAsha(spec: SweepSpec, asha: AshaSpec, points: number): Expected {
  const going = (n: number): number => Math.min(n, survivors(n, asha.eta));
  return ofLadders(
    spec,
    asha,
    points,
    going,
    'values taken to arrive in random order at every rung: the k-th of a rung goes on with probability max(1, floor(k / eta)) / k; further repeats run only for points that reach max_epochs',
  );
}

function ofPromotion(spec: SweepSpec, asha: AshaSpec, points: number): Expected {
  return ofLadders(
    spec,
    asha,
    points,
    (n) => Math.floor(n / asha.eta),
    'the best floor(n / eta) of a rung are promoted; a trial that was among them when it came, and no longer is, adds to that',
  );
}

function ofLadders(
  spec: SweepSpec,
  asha: AshaSpec,
  points: number,
  going: (n: number) => number,
  expectedHow: string,
): Expected {
  const { maxEpochs, repeats } = spec;
  const groups = Math.min(points, groupsOf(spec, asha.compareWithin));
  const rungs: PlanRung[] = [];
  let epochs = 0;
  for (const { bracket, size } of bracketsOf(asha, points)) {
    let running = size;
    let before = 0;
    for (const rung of ashaRungs(asha, maxEpochs, bracket)) {
      epochs += running * (rung - before);
      running = Math.min(running, groups * going(running / groups));
      before = rung;
      rungs.push({ epochs: rung, bracket, survivors: tenths(running) });
    }
    epochs += running * (maxEpochs - before) + running * (repeats - 1) * maxEpochs;
  }
  return { rungs, expectedEpochs: Math.round(epochs), expectedHow };
}

/** Exact, but for trials that fail or diverge: brackets are filled in the order of the search. */
function ofHyperband({ maxEpochs, repeats }: SweepSpec, eta: number, points: number): Expected {
  const brackets = hyperbandBrackets(eta, maxEpochs);
  const cycle = brackets.reduce((sum, { trials }) => sum + trials, 0);
  const cycles = Math.floor(points / cycle);
  const rungs = new Map<string, PlanRung>();
  let epochs = 0;
  const add = (times: number, sizeOf: (trials: number) => number): void => {
    for (const { s, trials, epochs: rounds } of brackets) {
      let size = sizeOf(trials);
      let before = 0;
      for (const [index, round] of rounds.entries()) {
        epochs += times * size * (round - before);
        before = round;
        const isLast = index === rounds.length - 1;
        if (isLast) epochs += times * size * (repeats - 1) * maxEpochs;
        else if (size > 0) size = Math.max(1, Math.floor(size / eta));
        if (isLast) continue;
        const key = `${s}/${round}`;
        const known = rungs.get(key)?.survivors ?? 0;
        rungs.set(key, { epochs: round, bracket: s, survivors: known + times * size });
      }
    }
  };
  if (cycles > 0) add(cycles, (trials) => trials);
  let rest = points - cycles * cycle;
  add(1, (trials) => {
    const taken = Math.min(rest, trials);
    rest -= taken;
    return taken;
  });
  const expectedHow =
    'the rounds of the brackets, filled in the order of the search; trials that fail or diverge take less';
  return {
    rungs: [...rungs.values()].filter(({ survivors }) => survivors > 0),
    expectedEpochs: epochs,
    expectedHow,
  };
}

function ofMedian(
  { maxEpochs, repeats }: SweepSpec,
  { grace, minTrials }: MedianSpec,
  points: number,
): Expected {
  const judged = Math.max(0, points - minTrials);
  const through = points - judged / 2;
  const epochs = through * maxEpochs * repeats + (judged / 2) * Math.min(maxEpochs, grace + 1);
  const expectedHow = `half of the trials behind the first ${minTrials} taken to fall below the median at epoch ${grace + 1}, as when curves do not cross`;
  return { rungs: [], expectedEpochs: Math.round(epochs), expectedHow };
}

/** Number of groups that `compare_within` ranks apart. */
function groupsOf({ sweep, cases }: SweepSpec, names: readonly string[]): number {
  const sizeIn = (axes: Axes, name: string): number => {
    const domain = axes.find((axis) => axis.name === name)?.domain;
    if (domain?.kind === 'range' && domain.count === null) return Infinity;
    return domain === undefined ? 0 : (axisValues(domain)?.size ?? 1);
  };
  return names.reduce((product, name) => {
    const inCases = cases.reduce((sum, branch) => sum + sizeIn(branch, name), 0);
    return product * Math.max(1, sizeIn(sweep, name), inCases);
  }, 1);
}

const SUMMED = 10_000;

/** Sum of max(1, floor(k / eta)) / k for k = 1..n; linear between whole n, an integral beyond {@link SUMMED}. */
function survivors(n: number, eta: number): number {
  let sum = 0;
  const whole = Math.min(Math.floor(n), SUMMED);
  for (let k = 1; k <= whole; k += 1) sum += Math.max(1, Math.floor(k / eta)) / k;
  if (n <= SUMMED) {
    const next = whole + 1;
    return sum + ((n - whole) * Math.max(1, Math.floor(next / eta))) / next;
  }
  return sum + (n - SUMMED) / eta - ((eta - 1) / (2 * eta)) * Math.log(n / SUMMED);
}
