/** `wattsweep simulate`: curves in, what the rules would have decided out. */
import { describe, expect, it } from 'vitest';
import { parseCurves } from '../../../cli/curves.js';
import { describeSimulation, simulationJson } from '../../../cli/simulation-view.js';
import { simulate, type Simulation, type StoppingSpec } from '../../../services/coordinator/core/index.js';
import { sweepSpec } from '../../support/core.js';

const asha = (eta: number): StoppingSpec => ({
  rule: 'asha',
  firstRung: 1,
  eta,
  window: 1,
  compareWithin: [],
  brackets: 1,
});

/** What `simulate` says of a CSV. */
const simulated = (stopping: StoppingSpec, csv: string, maxEpochs = 100): Simulation =>
  simulate(sweepSpec({ stopping, maxEpochs }), parseCurves(csv, 'curves.csv'));

const letters = ({ decisions }: Simulation): string =>
  decisions.map(({ action }) => (action === 'stop' ? 'S' : 'C')).join(' ');

/** One trial a value, all at epoch 1. */
const atOneRung = (values: string): string =>
  ['trial,epoch,value', ...values.split(' ').map((value, i) => `t${i},1,${value}`)].join('\n');

describe('simulate', () => {
  it.each([
    ['10 8 6 4', 2, 'C S S S'],
    ['10 8 6 4 2 1', 3, 'C S S S S S'],
    ['1 2 3 4 5 6', 3, 'C C C C C C'],
    ['5 5 5 5 5 5', 2, 'C C C C C C'],
    ['5 5 5 5 5 5', 3, 'C C C C C C'],
    ['7 3 9 5 8 1 6 4 2 10', 3, 'C S C S S S S S S C'],
    ['NaN 5 4 6', 2, 'S C S C'],
    ['5 NaN 4 6', 2, 'C S S C'],
  ])('answers %s with eta %i by %s', (values, eta, expected) => {
    expect(letters(simulated(asha(eta), atOneRung(values)))).toBe(expected);
  });

  it.each([
    [0, 0, [1, 0], 1],
    [1, 0, [2, 1, 0], 1],
    [2, 0, [2, 1, 0], 2],
    [2, 0, [1, 1, 1], 2],
    [2, 0.1, [1, 1.05, 1.08, 1.2], 2],
    [1, 0, [1, 2, 3], -1],
  ])('with patience %i and min_delta %d, %o stops at index %i', (patience, minDelta, values, index) => {
    const csv = ['trial,epoch,value', ...values.map((value, i) => `a,${i + 1},${value}`)].join('\n');
    const { decisions } = simulated({ rule: 'patience', patience, minDelta, startEpoch: 1 }, csv);
    expect(decisions.findIndex(({ action }) => action === 'stop')).toBe(index);
  });

  const csv = `trial,epoch,value,seconds,joules
good,1,0.5,10,100
bad,1,0.4,10,
bad,2,0.45,10,1800
late,1,0.3,10,100
bad,3,0.95,,1800
good,2,0.9,10,100
late,2,nan,20,200
`;

  it('says what was saved, and that the best trial was stopped', () => {
    const simulation = simulated(asha(2), csv);
    expect(simulationJson(simulation)).toMatchObject({
      trials: 3,
      ended: 2,
      epochs: { run: 4, saved: 3 },
      seconds: { run: 40, saved: 30 },
      wattHours: { run: 300 / 3600, saved: 3800 / 3600 },
      best: { trial: 'bad', epoch: 3, value: 0.95, survived: false },
    });
    const text = describeSimulation(simulation);
    expect(text).toContain('epochs: 4 run, 3 saved (43 %)');
    expect(text).toContain('the best trial, bad (0.9500 at epoch 3), did not survive');
  });

  it('shows what was not read as such, and counts no epoch beyond the last', () => {
    const simulation = simulated({ rule: 'none' }, 'trial,epoch,value\na,1,0.5\na,2,0.6\na,3,0.9', 2);
    expect(simulationJson(simulation)).toMatchObject({
      epochs: { run: 2, saved: 0 },
      seconds: { run: null, saved: null },
      wattHours: { run: null, saved: null },
      best: { epoch: 2, survived: true },
    });
    expect(describeSimulation(simulation)).toContain('energy: – run, – saved');
  });

  it('gives each decision its facts; a duplicate changes nothing', () => {
    const { decisions } = simulated(asha(2), 'trial,epoch,value\na,1,0.5\na,1,0.1\nb,1,0.4\na,3,0.6');
    expect(decisions).toMatchObject([
      { trial: 'a', rule: 'asha@1', action: 'continue', rung: 1, rank: 1, n: 1, threshold: 0.5 },
      { trial: 'a', rule: null, action: 'continue', reason: expect.stringContaining('duplicate') as string },
      { trial: 'b', rule: 'asha@1', action: 'stop', rung: 1, rank: 2, n: 2, threshold: 0.5 },
      { trial: 'a', rule: 'asha@1', action: 'continue', epoch: 3, rung: 2, rank: 1, n: 1 },
    ]);
  });

  it('pauses and promotes, and gives a promoted trial the rest of its curve', () => {
    const curve = 'trial,epoch,value\na,1,0.5\na,2,0.6\nb,1,0.4\na,3,0.7\nc,1,0.9\nd,1,0.3\nc,2,0.5';
    const simulation = simulated({ ...asha(2), mode: 'promote' } as StoppingSpec, curve, 3);
    expect(simulation.decisions.map(({ trial, epoch, action }) => `${trial}${epoch} ${action}`)).toEqual([
      'a1 pause',
      'b1 pause',
      'a1 promote',
      'a2 pause',
      'c1 pause',
      'c1 promote',
      'd1 pause',
      'c2 pause',
      'a2 promote',
      'a3 continue',
    ]);
    expect(simulationJson(simulation)).toMatchObject({
      epochs: { run: 7, saved: 0 },
      best: { trial: 'c', survived: true },
    });
  });

  it('acts by energy as a sweep would', () => {
    const spec = sweepSpec({ maxEpochs: 9, trialLimits: { maxSeconds: null, maxEnergyWh: 0.5 } });
    const { decisions } = simulate(
      spec,
      parseCurves('trial,epoch,value,joules\na,1,1,\na,2,1,1800\na,3,1,1', 'c.csv'),
    );
    expect(decisions.map(({ rule, action }) => [rule, action])).toEqual([
      ['max_energy@1', 'continue'],
      ['max_energy@1', 'stop'],
    ]);
  });

  it.each([
    ['', 1, 'names the columns'],
    ['trial,epoch\na,1', 1, 'names the columns'],
    ['trial,epoch,value,watts\na,1,1,1', 1, 'names the columns'],
    ['trial,epoch,value', 1, 'no report'],
    ['trial,epoch,value\na,1', 2, '2 fields for 3 columns'],
    ['trial,epoch,value\na,1,1\n\na,1.5,1', 4, 'epoch is "1.5"'],
    ['trial,epoch,value\na,0,1', 2, 'epoch is "0"'],
    ['trial,epoch,value\n,1,1', 2, 'no name'],
    ['trial,epoch,value\na,1,high', 2, 'value is "high"'],
    ['trial,epoch,value,seconds\na,1,1,-3', 2, 'seconds is "-3"'],
    ['trial,epoch,value,joules\r\na,1,1,nan\r\n', 2, 'joules is "nan"'],
  ])('refuses %j at line %i', (text, line, words) => {
    expect(() => parseCurves(text, 'curves.csv')).toThrow(
      expect.objectContaining({
        code: 'CURVES_INVALID',
        message: expect.stringMatching(new RegExp(`^curves\\.csv:${line}: .*${words}`)) as string,
      }) as Error,
    );
  });

  it('reads the words for values that are not finite', () => {
    const values = parseCurves('trial,epoch,value\na,1,NaN\na,2,-inf\na,3,Infinity\na,4,', 'c').map(
      (r) => r.value,
    );
    expect(values).toEqual([NaN, -Infinity, Infinity, NaN]);
  });
});
