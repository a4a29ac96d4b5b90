/** Webhooks, with a real receiver: told at the end, again after a failure, and by the next coordinator. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { Client, close, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => unknown)[] = [];
const later = (cleanup: () => unknown): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Received {
  readonly id: string;
  readonly body: { readonly kind: string; readonly deliveryId: string; readonly [key: string]: unknown };
}

/** @param answers statuses, in order; the last one for all that follow; 0 for none at all */
async function receiver(answers: readonly number[]): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const status = answers[Math.min(received.length, answers.length - 1)] ?? 200;
      received.push({
        id: String(request.headers['wattsweep-delivery-id']),
        body: JSON.parse(text) as Received['body'],
      });
      if (status !== 0) response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  later(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/T0KEN`, received };
}

test('an end is told, again after a 500; status shows the host alone', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const coordinator = await startLeader(nats.url);
  later(() => coordinator.close());
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2 });
  later(() => trainer.vanish());
  const client = new Client(coordinator.grpcAddress);
  later(() => close(client));
  const { url, received } = await receiver([500, 200]);
  const { sweepId } = await client.submit(`${SWEEP}notify: { webhook: "${url}" }\n`);
  await client.watch(sweepId);
  await until(() => received.length === 2);
  expect(received.map(({ id }) => id)).toEqual([`${sweepId}/end/1`, `${sweepId}/end/1`]);
  expect(received[1]?.body).toEqual(received[0]?.body);
  expect(received[1]?.body).toMatchObject({
    version: 1,
    kind: 'end',
    sweep: { sweepId, name: 'tiny', state: 'completed' },
    progress: { trialsTotal: 6 },
    best: { value: 0.03 },
  });
  await until(async () => (await client.sweep(sweepId)).sweep?.webhook.includes('1 delivered') ?? false);
  const { sweep } = await client.sweep(sweepId);
  expect(sweep?.webhook).toBe(`webhook of ${new URL(url).host}: 1 delivered`);
  expect(JSON.stringify(await client.sweep(sweepId))).not.toContain('T0KEN');
  const metrics = await (await fetch(`http://${coordinator.httpAddress}/metrics`)).text();
  expect(metrics).toMatch(/^wattsweep_notifications_total\{result="failed"\} 1$/m);
  expect(metrics).toMatch(/^wattsweep_notifications_total\{result="delivered"\} 1$/m);
  expect(metrics).not.toContain('T0KEN');
});

test('a coordinator that is stopped before an answer leaves the message to the next one, with the same id', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const one = await startLeader(nats.url, { snapshotEvents: 5 });
  later(() => one.close());
  const trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2 });
  later(() => trainer.vanish());
  const before = new Client(one.grpcAddress);
  const { url, received } = await receiver([0, 200]);
  const { sweepId } = await before.submit(`${SWEEP}notify: { webhook: "${url}", on: [end] }\n`);
  await before.watch(sweepId);
  await until(() => received.length === 1);
  expect((await before.sweep(sweepId)).sweep?.webhook).toContain('1 not taken yet');
  await close(before);
  await one.close();

  const two = await startLeader(nats.url, { coordinatorId: 'two' });
  later(() => two.close());
  await until(() => received.length === 2);
  expect(received[1]).toEqual(received[0]);
  const after = new Client(two.grpcAddress);
  later(() => close(after));
  await until(async () => (await after.sweep(sweepId)).sweep?.webhook.includes('1 delivered') ?? false);
});
