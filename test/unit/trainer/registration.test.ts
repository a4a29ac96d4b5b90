import { NatsError } from 'nats';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { Registration, type TrainersBucket } from '../../../services/trainer/nats/registration.js';

test('a trainer that starts while NATS elects or is away registers as soon as it answers', async () => {
  const calls: string[] = [];
  let failures = 2;
  const answer = <T>(call: string, value: T): Promise<T> => {
    calls.push(call);
    failures -= 1;
    return failures >= 0 ? Promise.reject(new NatsError('TIMEOUT', 'TIMEOUT')) : Promise.resolve(value);
  };
  const bucket: TrainersBucket = {
    get: () => answer('get', null),
    put: (key) => answer(`put ${key}`, 1),
    delete: () => answer('delete', undefined),
  };
  const registration = await Registration.open(bucket, {
    trainerId: 'box',
    ttlMs: 60_000,
    record: () => TrainerRecord.fromPartial({ trainerId: 'box', instanceId: 'one' }),
    predecessor: null,
    log: pino({ level: 'silent' }),
    onClash: (error) => {
      throw error;
    },
  });
  await registration.close();
  expect(calls).toEqual(['get', 'get', 'get', 'get', 'put box', 'delete']);
});
