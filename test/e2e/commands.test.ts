/** The commands about sweeps, against one running `up`. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExitCode, errorRegistry } from '../../proto/errors.js';
import type { Plan } from '../../services/coordinator/spec/index.js';
import { allowCurve, trainedEpochs, writeCurveSweep } from './command-sweep.js';
import { type Finished, type Running, Sandbox, until } from './support.js';

let box: Sandbox;
let up: Running;
beforeAll(async () => {
  box = new Sandbox();
  up = box.up([...allowCurve]);
  await until('it is up', () => up.stdout.includes('trainers'), { words: () => up.words });
});
afterAll(() => box.close());

const wattsweep = (...args: string[]): Promise<Finished> => box.wattsweep([...args, '--data', box.data]).exit;

/** A command that needs no coordinator. */
const wattsweepAlone = (...args: string[]): Promise<Finished> => box.wattsweep(args).exit;

async function submit(...args: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await wattsweep('submit', ...args);
  expect(exitCode, stderr).toBe(0);
  return stdout.trim();
}

interface Status {
  readonly sweep: { readonly state: string; readonly waiting: string | null };
  readonly trials: readonly {
    readonly trialId: string;
    readonly state: string;
    readonly epoch: number;
    readonly joules: number | null;
  }[];
}

const status = async (sweepId: string): Promise<Status> => (await box.ask(['status', sweepId])) as Status;

describe('a sweep', () => {
  it('is submitted, watched to its end, explained and reported', async () => {
    const file = writeCurveSweep(box, { trials: 3, epochs: 3, epochSeconds: 0.2 });
    const sweepId = await submit(file, '--set', 'stopping=asha', '--request-id', 'one');
    expect(await submit(file, '--set', 'stopping=asha', '--request-id', 'one')).toBe(sweepId);

    const printed = expect.stringMatching(/^curve with lr \d\n$/) as string;
    // With one slot the second trial is made when the first has ended.
    await until('a second trial is made', async () => (await status(sweepId)).trials.length > 1);
    const followed = wattsweep('logs', `${sweepId}/t0002`, '--follow');
    const watched = await wattsweep('watch', sweepId, '--json');
    expect(await followed).toMatchObject({ stdout: printed, exitCode: 0 });
    const updates = watched.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Status);
    expect(updates.at(-1)?.sweep.state).toBe('completed');
    const { trials } = await status('latest');
    expect(trials.map(({ trialId }) => trialId)).toEqual(['t0001', 't0002', 't0003']);
    expect(trials.map(({ joules }) => joules)).not.toContain(0);

    const stopped = trials.find(({ state }) => state === 'stopped');
    const explained = await wattsweep('explain', stopped?.trialId ?? 't0001');
    expect(explained.stdout).toMatch(/epoch 1, asha@2 at rung 1: (stop|continue)\. [\d.]+ is rank \d of \d/);

    const logs = await wattsweep('logs', 't0001', '--attempt', '1', '--tail', '1');
    expect(logs).toMatchObject({ stdout: printed, exitCode: 0 });
    expect(logs.stderr).toContain('attempt 1 on ');
    expect((await wattsweep('logs', 't0001', '--attempt', '7')).stderr).toContain(
      'has no attempt 7; it has 1',
    );

    const out = join(box.dir, 'out');
    const report = await wattsweep('report', sweepId, '--out', out);
    expect(report.exitCode, report.stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['report.html', 'report.json', 'report.md']);
    const json = (await box.ask(['report', sweepId])) as { sweep: { sweepId: string } };
    expect(json.sweep.sweepId).toBe(sweepId);
    expect((await wattsweep('report', sweepId)).stdout).toBe(readFileSync(join(out, 'report.md'), 'utf8'));
  });

  it('promotes from checkpoints and trains no epoch twice; plan knows then what it costs, and replay agrees', async () => {
    const before = trainedEpochs(box).length;
    const file = writeCurveSweep(box, { trials: 4, epochs: 4, epochSeconds: 0.1, resumes: true });
    const promote = 'stopping={ rule: asha, mode: promote, first_rung: 1, eta: 2 }';
    const sweepId = await submit(file, '--set', promote);
    expect((await wattsweep('watch', sweepId, '--json')).exitCode).toBe(0);
    const { sweep, trials } = await status(sweepId);
    expect(sweep.state).toBe('completed');
    // The best of four goes to the end; by the order of arrival another one may have come so far.
    expect(trials.filter(({ state }) => state === 'succeeded').map(({ epoch }) => epoch)).toContain(4);
    expect(new Set(trials.map(({ state }) => state))).toEqual(new Set(['succeeded', 'stopped']));
    const trained = trainedEpochs(box)
      .slice(before)
      .map(({ trial, epoch }) => `${trial} ${epoch}`);
    expect(new Set(trained).size).toBe(trained.length);
    expect(trained).toHaveLength(trials.reduce((sum, { epoch }) => sum + epoch, 0));

    const replayed = await wattsweep('replay', sweepId, '--json');
    expect(JSON.parse(replayed.stdout)).toMatchObject({ sweepId, equal: true, reports: trained.length });
    const planned = (await box.ask(['plan', file, '--set', promote])) as Plan;
    expect(planned.costBasis).toContain('past trials');
    expect(planned.expected.slotHours).toBeGreaterThan(0);
    expect(planned.expected.slotHours).toBeLessThan(planned.upper.slotHours ?? 0);
  });

  it('can be tried on known curves first: each answer with its reason, what it saves, and whether the best survives', async () => {
    const curves = join(box.dir, 'curves.csv');
    const rows = ['a,1,0.9,10,3600', 'b,1,0.5,10,3600', 'c,1,nan,10,', 'a,2,0.95,10,3600', 'b,2,0.6,10,3600'];
    writeFileSync(curves, ['trial,epoch,value,seconds,joules', ...rows].join('\n'));
    const file = writeCurveSweep(box, { trials: 2, epochs: 4, epochSeconds: 0.1 });
    const stopping = 'stopping={ rule: asha, first_rung: 1, eta: 2 }';
    const simulated = await wattsweepAlone('simulate', file, '--curves', curves, '--set', stopping, '--json');
    expect(simulated.exitCode, simulated.stderr).toBe(0);
    const { decisions, ...sums } = JSON.parse(simulated.stdout) as { decisions: readonly object[] };
    expect(Object.keys(decisions[0] ?? {}).sort()).toEqual(
      ['action', 'epoch', 'n', 'rank', 'reason', 'rule', 'rung', 'threshold', 'trial', 'value'].sort(),
    );
    expect(decisions).toMatchObject([
      { trial: 'a', action: 'continue', rung: 1, rank: 1, n: 1 },
      { trial: 'b', action: 'stop', rung: 1, rank: 2, n: 2, threshold: 0.9 },
      { trial: 'c', action: 'stop', rule: 'finite@1' },
      { trial: 'a', action: 'continue', rung: 2 },
    ]);
    expect(sums).toMatchObject({
      epochs: { run: 4, saved: 1 },
      seconds: { run: 40, saved: 10 },
      wattHours: { run: 3, saved: 1 },
      best: { trial: 'a', survived: true },
    });
    const text = await wattsweepAlone('simulate', file, '--curves', curves, '--set', stopping);
    expect(text.stdout).toMatch(/TRIAL +EPOCH +VALUE +RULE +ACTION +RUNG +RANK +N +THRESHOLD +REASON/);
  });

  it('can be paused, resumed and stopped', async () => {
    const before = trainedEpochs(box).length;
    const sweepId = await submit(writeCurveSweep(box, { trials: 2, epochs: 100, epochSeconds: 0.1 }));
    await until('it trains', () => trainedEpochs(box).length > before, { words: () => up.words });
    expect((await wattsweep('pause', sweepId)).stdout.trim()).toBe(`${sweepId} paused`);
    await until('nothing runs', async () =>
      (await status(sweepId)).trials.every(({ state }) => state !== 'running'),
    );
    const paused = trainedEpochs(box).length;
    expect((await wattsweep('resume', sweepId)).stdout.trim()).toBe(`${sweepId} running`);
    await until('it trains again', () => trainedEpochs(box).length > paused, { words: () => up.words });
    expect((await wattsweep('stop', sweepId)).exitCode).toBe(0);
    await until('it has ended', async () => (await status(sweepId)).sweep.state === 'stopped');
    const again = await wattsweep('stop', sweepId);
    expect([again.exitCode, again.stderr]).toEqual([
      errorRegistry.SWEEP_ENDED.exit,
      expect.stringContaining('error[SWEEP_ENDED]'),
    ]);
  });

  it('is changed while it runs and after its end, tagged, hidden and forgotten', async () => {
    const file = writeCurveSweep(box, { trials: 2, epochs: 60, epochSeconds: 0.05 });
    const sweepId = await submit(file, '--tag', 'night');
    const set = await wattsweep('set', sweepId, 'max_parallel=1', 'budget.hours=5');
    expect(set.stdout.trim()).toBe(
      `${sweepId}: max_parallel 1, budget.energy_wh none, budget.hours 5, priority 1`,
    );
    await wattsweep('stop', sweepId);
    await until('it has ended', async () => (await status(sweepId)).sweep.state === 'stopped');
    const wrong = await wattsweep('rerun', sweepId);
    expect([wrong.exitCode, wrong.stderr]).toEqual([
      errorRegistry.NOTHING_TO_RERUN.exit,
      expect.stringContaining('cancelled'),
    ]);
    expect((await wattsweep('rerun', sweepId, '--cancelled')).stdout).toMatch(
      /: \d trials? runs? again: t0001/,
    );
    const extended = await wattsweep('extend', 'latest', '--max-epochs', '61', '--repeats', '2');
    expect(extended.stdout.trim()).toBe(`${sweepId}: repeats 1 -> 2, max_epochs 60 -> 61`);
    await wattsweep('stop', sweepId);
    await until('it has ended', async () => (await status(sweepId)).sweep.state === 'stopped');
    expect((await wattsweep('tag', sweepId, 'best', '--remove', 'night')).stdout.trim()).toBe(
      `${sweepId}: tags best`,
    );
    expect((await wattsweep('list', '--tag', 'best')).stdout).toMatch(
      new RegExp(`${sweepId} .*stopped.*best`),
    );
    expect((await wattsweep('archive', sweepId)).exitCode).toBe(0);
    expect((await wattsweep('list')).stdout).not.toContain(sweepId);
    expect((await wattsweep('delete', sweepId)).stdout).toMatch(/deleted, \d trials? with \d+ epochs/);
    expect((await wattsweep('status', sweepId)).stderr).toContain('was deleted');
  });

  it('that no slot here could run is accepted, waits, and says for what', async () => {
    const file = writeCurveSweep(box, { trials: 1, epochs: 1, epochSeconds: 0.1 });
    const answer = await wattsweep('submit', file, '--set', 'resources.device=Imaginary 9000');
    expect(answer.exitCode).toBe(0);
    expect(answer.stderr).toContain('no box has a device "Imaginary 9000"');
    const sweepId = answer.stdout.trim();
    expect((await status(sweepId)).sweep.waiting).toContain('Imaginary 9000');
    expect((await wattsweep('stop', sweepId)).exitCode).toBe(0);
  });

  it('of a program that this box does not allow waits for a box that does, and says so', async () => {
    const file = join(box.dir, 'other.yaml');
    writeFileSync(
      file,
      'name: x\ncommand: [make, train]\nobjective: { metric: score, goal: maximize }\nmax_epochs: 1\n',
    );
    const sweepId = await submit(file);
    const { sweep, trials } = await until('it says why it waits', async () => {
      const answer = await status(sweepId);
      return answer.sweep.waiting !== null && answer;
    });
    expect(sweep.waiting).toMatch(/^no box takes it: .*does not run the program 'make'/);
    expect(trials).toMatchObject([{ state: 'queued', errorCode: null }]);
    expect((await wattsweep('stop', sweepId)).exitCode).toBe(0);
  });
});

describe('what does not exist', () => {
  it.each([
    [['status', 'nothing'], 'SWEEP_NOT_FOUND'],
    [['explain', 't9999'], 'TRIAL_NOT_FOUND'],
    [['pause', 'nothing'], 'SWEEP_NOT_FOUND'],
    [['report', 'nothing'], 'SWEEP_NOT_FOUND'],
  ] as const)('%j: %s', async (args, code) => {
    const { exitCode, stderr, stdout } = await wattsweep(...args);
    expect([exitCode, stdout]).toEqual([ExitCode.notFound, '']);
    expect(stderr).toContain(`error[${code}]`);
  });
});
