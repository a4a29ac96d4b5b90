/**
 * Three nats-servers, every stream on each of them: any one may die in the middle of a sweep. The servers need 4 to 9
 * seconds to elect a new leader, so only the ledger's leader is killed here; `WATTSWEEP_CLUSTER_KILLS=3` kills each.
 */
import { afterEach, expect, test } from 'vitest';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { LEDGER_STREAM, REPORTS_STREAM } from '../../../proto/subjects.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNatsCluster } from '../../support/nats-cluster.js';
import { Client, close, startLeader, SWEEP, until } from './world.js';

const KILLS = Number(process.env['WATTSWEEP_CLUSTER_KILLS'] ?? 1);
const EPOCHS = 20 * KILLS;

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('servers are killed, the leader of the ledger first: nothing is lost or doubled', async () => {
  const cluster = await startNatsCluster();
  later(() => cluster.stop());
  const coordinator = await startLeader(cluster.url, {
    replicas: 3,
    leaseTtlMs: 10_000,
    lostAfterMs: 20_000,
  });
  later(() => coordinator.close());
  const link = await NatsLink.connect({ url: cluster.url, token: null, name: 'test' });
  later(() => link.close());
  const health = async (stream: string): Promise<{ leader: string; current: number }> => {
    const { cluster: raft } = await link.manager.streams.info(stream).catch(() => ({ cluster: undefined }));
    const current = raft?.replicas?.filter((peer) => peer.current && !peer.offline) ?? [];
    return { leader: raft?.leader ?? '', current: current.length };
  };
  const whole = async (): Promise<boolean> =>
    (await Promise.all([LEDGER_STREAM, REPORTS_STREAM].map(health))).every(
      ({ leader, current }) => leader !== '' && current === 2,
    );
  await until(whole, 30_000);

  // Before the sweep begins: the question may take seconds, and the sweep must not end meanwhile.
  const { leader } = await health(LEDGER_STREAM);
  const order = [leader, ...['n1', 'n2', 'n3'].filter((name) => name !== leader)];
  expect(order).toHaveLength(3);
  const trainer = await FakeTrainer.start({
    natsUrl: cluster.url,
    trainerId: 'box',
    slots: 2,
    epochMs: 100,
    copies: 2,
  });
  later(() => trainer.vanish());
  const client = new Client(coordinator.grpcAddress);
  later(() => close(client));
  const { sweepId } = await client.submit(SWEEP.replace('max_epochs: 3', `max_epochs: ${EPOCHS}`));
  await until(() => trainer.started.length >= 2);

  const accepted = async (): Promise<number> => {
    const { trials } = await client.sweep(sweepId).catch(() => ({ trials: [] }));
    return trials.reduce((sum, { epoch }) => sum + epoch, 0);
  };
  for (const name of order.slice(0, KILLS)) {
    const before = await accepted();
    await cluster.kill(name);
    // Two of three go on accepting.
    await until(async () => (await accepted()) > before + 2, 60_000);
    await cluster.restart(name);
    await until(whole, 30_000);
  }
  await until(
    async () => (await client.sweep(sweepId).catch(() => null))?.sweep?.state === SweepState.COMPLETED,
    60_000,
  );
  const { state } = await loadLedger(new JetStreamLog(link));
  const trials = [...(state.sweeps.get(sweepId)?.trials.values() ?? [])];
  expect(trials).toHaveLength(6);
  for (const trial of trials) {
    expect(trial.state).toBe('succeeded');
    expect(trial.epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: EPOCHS }, (_, i) => i + 1));
    expect(trial.attempts).toHaveLength(1);
  }
  expect(trainer.started).toHaveLength(6);
});
