/** Under which name a trainer is there, and who may speak to it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { TRAINERS_BUCKET } from '../../../proto/subjects.js';
import { startTrainer } from '../../../services/trainer/index.js';
import { startNats } from '../../support/nats.js';
import { connectNats, createStreams, trainerClient } from '../../support/trainer.js';
import { useBox } from './one-box.js';

describe('a trainer', () => {
  const { box } = useBox();

  it('keeps its record alive, and removes it at the end', async () => {
    const kv = await box.connection.jetstream().views.kv(TRAINERS_BUCKET, { bindOnly: true });
    const read = async (): Promise<TrainerRecord | null> => {
      const entry = await kv.get(box.trainer.trainerId);
      return entry?.operation === 'PUT' ? TrainerRecord.fromJSON(entry.json()) : null;
    };
    expect(await read()).toMatchObject({
      trainerId: box.trainer.trainerId,
      address: box.trainer.grpcAddress,
      slots: [{ slotId: 'cpu', deviceKind: 'cpu' }],
      draining: false,
    });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await read()).not.toBeNull();
    await box.trainer.close({ drain: true });
    expect(await read()).toBeNull();
  });

  it('refuses the name of a living trainer, and a folder in use', async () => {
    const other = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    const options = {
      natsUrl: box.nats.url,
      trainerId: box.trainer.trainerId,
      trainerTtlMs: 2_000,
      logLevel: 'silent',
    };
    await expect(startTrainer({ ...options, dataDir: other })).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await expect(startTrainer({ ...options, dataDir: box.dataDir })).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
    });
    await rm(other, { recursive: true, force: true });
  });

  it('takes over the name of a trainer that died on another disk, once its record is not renewed', async () => {
    const kv = await box.connection.jetstream().views.kv(TRAINERS_BUCKET, { bindOnly: true });
    const dead = TrainerRecord.toJSON(TrainerRecord.fromPartial({ trainerId: 'moved', instanceId: 'dead' }));
    await kv.put('moved', JSON.stringify(dead));
    const other = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
    const moved = await startTrainer({
      natsUrl: box.nats.url,
      trainerId: 'moved',
      dataDir: other,
      trainerTtlMs: 600,
      logLevel: 'silent',
    });
    expect(TrainerRecord.fromJSON((await kv.get('moved'))!.json()).instanceId).not.toBe('dead');

    // And gives way, with the reason, when another service has taken the name in spite of that.
    await kv.put('moved', JSON.stringify({ ...(dead as object), instanceId: 'usurper' }));
    expect(await moved.closed).toMatchObject({ code: 'ALREADY_RUNNING' });
    expect(TrainerRecord.fromJSON((await kv.get('moved'))!.json()).instanceId).toBe('usurper');
    await rm(other, { recursive: true, force: true });
  });

  describe('a join token', () => {
    it('is needed beyond loopback and on every call', async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-trainer-'));
      await expect(
        startTrainer({ natsUrl: box.nats.url, dataDir, listenHost: '0.0.0.0' }),
      ).rejects.toMatchObject({
        code: 'USAGE',
      });
      const guarded = await startNats({ token: 'join-me' });
      const guardedConnection = await connectNats(guarded.url, 'join-me');
      await createStreams(guardedConnection, 2_000);
      const options = { natsUrl: guarded.url, dataDir, trainerId: 'guarded', logLevel: 'silent' };
      await expect(startTrainer({ ...options, token: 'wrong' })).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
      const trainer = await startTrainer({ ...options, token: 'join-me' });
      const stranger = trainerClient(trainer.grpcAddress);
      expect(await stranger.describe()).toMatchObject({ code: 'UNAUTHENTICATED' });
      const friend = trainerClient(trainer.grpcAddress, 'join-me');
      expect(await friend.describe()).toHaveProperty('ok');
      stranger.close();
      friend.close();
      await trainer.close({ drain: true });
      await guardedConnection.close();
      await guarded.stop();
      await rm(dataDir, { recursive: true, force: true });
    });
  });
});
