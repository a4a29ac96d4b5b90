/**
 * Three nats-servers, every stream on each of them: any one may die in the middle of a sweep. The servers need 4 to 9
 * seconds to elect a new leader, so only one is killed here, the worst: it leads the ledger and has the coordinator's
 * consumer of reports in its memory. `WATTSWEEP_CLUSTER_KILLS=3` kills each.
 */
import { afterEach, expect, test } from 'vitest';
import { SweepState, type GetSweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { LEDGER_STREAM, REPORTS_STREAM } from '../../../proto/subjects.js';
import { JetStreamLog, loadLedger } from '../../../services/coordinator/ledger/index.js';
import { NatsLink } from '../../../services/coordinator/nats/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { NAMES, startNatsCluster } from '../../support/nats-cluster.js';
import { Client, close, readiness, startLeader, SWEEP, until } from './world.js';

const KILLS = Number(process.env['WATTSWEEP_CLUSTER_KILLS'] ?? 1);
const EPOCHS = 20 * KILLS;
const LIMIT_MS = 90_000;

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test(
  'servers are killed, the leader of the ledger first: nothing is lost or doubled',
  async () => {
    const cluster = await startNatsCluster();
    later(() => cluster.stop());
    // Of the other servers it learns from this one.
    const [first = ''] = cluster.url.split(',');
    const coordinator = await startLeader(first, {
      replicas: 3,
      leaseTtlMs: 10_000,
      lostAfterMs: 60_000,
      logLevel: 'warn',
    });
    later(() => coordinator.close());
    const link = await NatsLink.connect({ url: cluster.url, token: null, name: 'test' });
    later(() => link.close());
    const { health, whole, hostOfReader, lead } = look(link);
    await until(whole, LIMIT_MS);

    // Before the sweep begins: the questions may take seconds, and the sweep must not end meanwhile.
    const victim = await hostOfReader();
    await lead(LEDGER_STREAM, victim);
    const order = [victim, ...NAMES.filter((name) => name !== victim)];
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
    await until(() => trainer.started.length >= 2, LIMIT_MS);

    let refusal = '';
    const ask = (): Promise<GetSweepResponse | null> =>
      client.sweep(sweepId).catch((error: unknown) => {
        refusal = `${new Date().toISOString()} ${String(error)}`;
        return null;
      });
    const accepted = async (): Promise<number> =>
      (await ask())?.trials.reduce((sum, { epoch }) => sum + epoch, 0) ?? 0;
    const explain = async (): Promise<unknown> => ({
      lastRefusal: refusal,
      coordinator: await readiness(coordinator).catch(String),
      accepted: await accepted(),
      reported: [...trainer.attempts.values()].map(({ epoch }) => epoch),
      streams: await Promise.all([LEDGER_STREAM, REPORTS_STREAM].map(health)),
      reader: await readerOfReports(link).catch(String),
    });
    for (const name of order.slice(0, KILLS)) {
      const before = await accepted();
      await cluster.kill(name);
      // Two of three go on accepting.
      await until(async () => (await accepted()) > before + 2, LIMIT_MS, explain);
      await cluster.restart(name);
      await until(whole, LIMIT_MS, explain);
    }
    await until(async () => (await ask())?.sweep?.state === SweepState.COMPLETED, LIMIT_MS, explain);
    const { state } = await loadLedger(new JetStreamLog(link));
    const trials = [...(state.sweeps.get(sweepId)?.trials.values() ?? [])];
    expect(trials).toHaveLength(6);
    for (const trial of trials) {
      expect(trial.state).toBe('succeeded');
      expect(trial.epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: EPOCHS }, (_, i) => i + 1));
      expect(trial.attempts).toHaveLength(1);
    }
    expect(trainer.started).toHaveLength(6);
  },
  (2 + 2 * KILLS) * LIMIT_MS,
);

interface Health {
  readonly leader: string;
  readonly current: number;
  readonly lastSeq: number;
}

/** The coordinator's consumer of reports. */
async function readerOfReports(link: NatsLink): Promise<{ name: string; host: string } | null> {
  const [info] = await link.manager.consumers.list(REPORTS_STREAM).next();
  return info === undefined ? null : { name: info.name, host: info.cluster?.leader ?? '' };
}

/** Questions to the cluster. */
function look(link: NatsLink) {
  const health = async (stream: string): Promise<Health> => {
    const info = await link.manager.streams.info(stream).catch(() => null);
    const current = info?.cluster?.replicas?.filter((peer) => peer.current && !peer.offline) ?? [];
    return {
      leader: info?.cluster?.leader ?? '',
      current: current.length,
      lastSeq: info?.state.last_seq ?? NaN,
    };
  };
  return {
    health,
    whole: async (): Promise<boolean> =>
      (await Promise.all([LEDGER_STREAM, REPORTS_STREAM].map(health))).every(
        ({ leader, current }) => leader !== '' && current === 2,
      ),
    /** Another server than the coordinator's own: its death is seen by no broken connection. */
    hostOfReader: async (): Promise<string> => {
      let host = '';
      await until(async () => {
        const reader = await readerOfReports(link);
        if (reader?.host === NAMES[0]) await link.manager.consumers.delete(REPORTS_STREAM, reader.name);
        else host = reader?.host ?? '';
        return host !== '';
      }, LIMIT_MS);
      return host;
    },
    lead: (stream: string, preferred: string): Promise<void> =>
      until(async () => {
        if ((await health(stream)).leader === preferred) return true;
        const wish = JSON.stringify({ placement: { preferred } });
        await link.connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, wish).catch(() => null);
        await new Promise((resolve) => setTimeout(resolve, 500));
        return false;
      }, LIMIT_MS),
  };
}
