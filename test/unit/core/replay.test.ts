import { describe, expect, it } from 'vitest';
import { Replay, type Difference, type LedgerEvent } from '../../../services/coordinator/core/index.js';
import { epochRecord, sweepSpec, trainer, World } from '../../support/core.js';

/** Two sweeps side by side, three trials each; one trial diverges, some are stopped. */
function played(): World {
  const world = new World();
  const stopping = { rule: 'asha' as const, firstRung: 1, eta: 2, window: 1, compareWithin: [], brackets: 1 };
  world.submit(sweepSpec({ stopping, maxEpochs: 3 }), 's');
  world.submit(sweepSpec({ stopping, maxEpochs: 3 }), 'other');
  world.join(trainer('a', 6));
  const values = [0.5, 0.4, NaN, 0.7, 0.6, 0.65];
  for (const [i, start] of world.running().entries()) world.epoch(start, epochRecord(1, values[i]!));
  for (const start of world.running()) {
    const trial = world.trial(start.trialId, start.sweepId);
    if (trial.state !== 'running') continue;
    world.epoch(start, epochRecord(2, 0.8));
    world.epoch(start, epochRecord(3, 0.9));
  }
  return world;
}

function replayed(
  log: readonly LedgerEvent[],
  sweepId = 's',
): { difference: Difference | null; replay: Replay } {
  const replay = new Replay(sweepId);
  for (const event of log) replay.take(event);
  return { difference: replay.finish(), replay };
}

const decisionOf = (event: LedgerEvent, sweepId = 's') =>
  event.type === 'decision_made' && event.sweepId === sweepId ? event : null;

describe('replay', () => {
  it('finds a log equal to what the rules say, and counts what it compared', () => {
    const { log } = played();
    const { difference, replay } = replayed(log);
    expect(difference).toBeNull();
    expect(replay.decisions).toBe(log.filter((event) => decisionOf(event) !== null).length);
    expect(replay.reports).toBe(
      log.filter((event) => event.type === 'epoch_accepted' && event.sweepId === 's').length,
    );
    expect(replay.decisions).toBeGreaterThan(3);
  });

  it.each([
    ['action', { action: 'promote' as 'stop' }, /^action: recorded promote, recomputed/],
    ['rank', { rank: 99 }, /^rank: recorded 99, recomputed 1/],
    ['reason', { reason: 'because' }, /^reason: recorded because/],
    ['rule version', { rule: 'asha@9' }, /^recorded by asha@9, recomputed by asha@1/],
  ])('says where a recorded %s differs', (_, over, message) => {
    const log = played().log;
    const first = log.findIndex((event) => decisionOf(event) !== null);
    const altered = log.map((event, i) => {
      const made = decisionOf(event);
      return made !== null && i === first ? { ...made, decision: { ...made.decision, ...over } } : event;
    });
    const { difference } = replayed(altered);
    expect(difference).toMatchObject({ trialId: decisionOf(log[first]!)!.trialId, epoch: 1 });
    expect(difference?.message).toMatch(message);
    expect(difference?.recorded).not.toBeNull();
    expect(difference?.recomputed).not.toBeNull();
  });

  it('says when a decision is missing, and when one is there that no rule makes', () => {
    const { log } = played();
    const at = log.findIndex((event) => decisionOf(event) !== null);
    expect(replayed(log.toSpliced(at, 1)).difference).toMatchObject({ recorded: null, epoch: 1 });
    expect(replayed(log.toSpliced(at, 0, log[at]!)).difference).toMatchObject({ recomputed: null, epoch: 1 });
  });

  it('sees a changed arrival in the decisions after it', () => {
    const { log } = played();
    const at = log.findIndex((event) => event.type === 'epoch_accepted' && event.sweepId === 's');
    const changed = log.map((event, i) =>
      i === at && event.type === 'epoch_accepted' ? { ...event, record: epochRecord(1, 0.45) } : event,
    );
    expect(replayed(changed).difference).toMatchObject({
      epoch: 1,
      message: expect.stringContaining('value') as string,
    });
  });

  it('misses an end that the rules ask for', () => {
    const { log } = played();
    const at = log.findIndex((event) => event.type === 'trial_ended' && event.sweepId === 's');
    const { difference } = replayed(log.slice(0, at));
    expect(difference?.message).toMatch(/^recomputed: the trial ends here/);
  });

  it('leaves other sweeps alone', () => {
    const { log } = played();
    const at = log.findIndex((event) => decisionOf(event, 'other') !== null);
    expect(replayed(log.toSpliced(at, 1)).difference).toBeNull();
    expect(replayed(log.toSpliced(at, 1), 'other').difference).not.toBeNull();
  });
});
