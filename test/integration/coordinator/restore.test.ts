/**
 * As docs/runbook.md says: stop, copy the folder, go on, restore the copy, go on. Once more with streams of different
 * ages, which no runbook asks for.
 */
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SweepState, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { Client, close, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Differs by parameters and epoch: a value in the wrong trial is seen. */
const valueOf = ({ parametersJson }: Pick<StartAttemptRequest, 'parametersJson'>, epoch: number): number => {
  const { batch_size, lr_peak } = JSON.parse(parametersJson) as { batch_size: number; lr_peak: number };
  return batch_size + lr_peak + epoch / 1_000;
};

/** Longer than the server is away while it is copied; the copy has the lease, too, and it runs out. */
const TIMES = { leaseTtlMs: 3_000, lostAfterMs: 30_000 };

interface Restore {
  readonly title: string;
  /** Terms that begin after the copy and are lost; with none the term goes on in which it was made. */
  readonly lostTerms: number;
  /** What becomes of each stream. */
  readonly ledger: 'copy' | 'stays';
  readonly reports: 'copy' | 'stays' | 'gone';
}

test.each<Restore>([
  { title: 'two terms were lost', lostTerms: 2, ledger: 'copy', reports: 'copy' },
  {
    title: 'one term was lost, and the next one has its number',
    lostTerms: 1,
    ledger: 'copy',
    reports: 'copy',
  },
  { title: 'a part of the last term was lost', lostTerms: 0, ledger: 'copy', reports: 'copy' },
  { title: 'beside newer reports', lostTerms: 1, ledger: 'copy', reports: 'stays' },
  { title: 'beside no reports', lostTerms: 0, ledger: 'copy', reports: 'gone' },
  { title: 'the ledger stays, beside older reports', lostTerms: 0, ledger: 'stays', reports: 'copy' },
])('a restored copy goes on, and counts nothing twice: $title', async ({ lostTerms, ledger, reports }) => {
  const folder = await mkdtemp(join(tmpdir(), 'wattsweep-restore-'));
  later(() => rm(folder, { recursive: true, force: true }));
  const [store, copy, broken] = [join(folder, 'store'), join(folder, 'copy'), join(folder, 'broken')];
  let nats = await startNats({ dataDir: store });
  later(() => nats.stop());
  let leader = await startLeader(nats.url, TIMES);
  later(() => leader.close());
  const trainer = await FakeTrainer.start({
    natsUrl: nats.url,
    trainerId: 'box',
    slots: 2,
    epochMs: 100,
    value: valueOf,
  });
  later(() => trainer.vanish());
  const client = new Client(leader.grpcAddress);
  const { sweepId } = await client.submit(SWEEP);
  await until(() => trainer.started.length >= 2);
  client.close();

  // The copy: the server is stopped, training goes on.
  if (lostTerms > 0) await leader.close();
  const copiedTerm = trainer.fence.term;
  await nats.stop();
  await cp(store, copy, { recursive: true });
  nats = await startNats({ dataDir: store, port: nats.port });

  // Trials that the copy will not know.
  const begun = trainer.started.length;
  for (let lost = 0; lost < lostTerms; lost += 1) {
    leader = await startLeader(nats.url, { coordinatorId: `lost${lost}`, ...TIMES });
    const before = trainer.started.length;
    await until(() => trainer.started.length > before);
    if (lost < lostTerms - 1) await leader.close();
  }
  await until(() => trainer.started.length > begun + 1);
  await leader.close();
  const known = new Set(trainer.attempts.keys());
  const { term } = trainer.fence;

  await nats.stop();
  await rename(store, broken);
  await cp(copy, store, { recursive: true });
  const streams = join('jetstream', '$G', 'streams');
  for (const [stream, fate] of [
    ['LEDGER', ledger],
    ['REPORTS', reports],
  ] as const) {
    if (fate !== 'copy') await rm(join(store, streams, stream), { recursive: true });
    if (fate === 'stays')
      await cp(join(broken, streams, stream), join(store, streams, stream), { recursive: true });
  }
  nats = await startNats({ dataDir: store, port: nats.port });
  leader = await startLeader(nats.url, { coordinatorId: 'after', ...TIMES });
  const after = new Client(leader.grpcAddress);
  later(() => close(after));
  await until(async () => (await after.sweep(sweepId)).sweep?.state === SweepState.COMPLETED, 60_000);
  const { trials } = await after.sweep(sweepId);
  expect(trials).toHaveLength(6);
  for (const trial of trials) expect(trial).toMatchObject({ state: TrialState.SUCCEEDED, epoch: 3 });

  const link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  const { state } = await loadLedger(new JetStreamLog(link));
  await link.close();
  // Of the lost part nothing is stopped.
  for (const { key } of trainer.stopped) {
    const attempts = state.sweeps.get(sweepId)?.trials.get(key?.trialId ?? '')?.attempts;
    expect(attempts?.map(({ attempt, termId }) => `${attempt}.${termId}`)).toContain(
      `${key?.attempt}.${key?.termId}`,
    );
  }
  // By its term it is known for a copy as soon as one began in the lost part.
  expect(state.copies).toBe(term > copiedTerm && ledger === 'copy' ? 1 : 0);
  expect(state.term).toBeGreaterThan(copiedTerm);
  for (const { trialId, epochs, attempts, parameters } of state.sweeps.get(sweepId)!.trials.values()) {
    const numbers = epochs.map(({ epoch }) => epoch);
    expect(numbers).toEqual([...new Set(numbers)]);
    if (reports === 'stays') expect(numbers).toEqual([1, 2, 3]);
    for (const { epoch, metrics } of epochs)
      expect(metrics['val_accuracy']).toBe(valueOf({ parametersJson: JSON.stringify(parameters) }, epoch));
    // Of another term than any attempt of the lost part.
    for (const { attempt, termId, assignedAt } of attempts) {
      expect(termId).not.toBe('');
      const name = `${sweepId}/${trialId}#${attempt}.${termId}`;
      if (termId === state.termId) expect([...known], `${name} of ${assignedAt}`).not.toContain(name);
    }
  }
});
