/** Messages to webhooks: repeated until taken, given up in the end, never in anybody's way, and silent about URLs. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { Clock } from '../../../services/coordinator/clock.js';
import {
  initialState,
  type Input,
  type PendingNotification,
} from '../../../services/coordinator/core/index.js';
import { Notifier } from '../../../services/coordinator/notify/index.js';
import { postJson, type Post } from '../../../services/coordinator/notify/post.js';

const pending = (deliveryId: string, over: Partial<PendingNotification> = {}): PendingNotification => ({
  sweepId: 's',
  deliveryId,
  kind: 'end',
  name: 'night',
  state: 'completed',
  reason: 'every trial has ended',
  trialsTotal: 2,
  trialsByState: { succeeded: 2 },
  best: { trialId: 't0002', value: 0.5, epoch: 3 },
  spent: { joules: 7_200, hours: 1.5 },
  budget: { energyWh: 10, hours: null },
  at: 1_000_000,
  webhook: 'https://user:pw@hooks.example.com/T0KEN',
  ...over,
});

/** Time passes only in waits. */
class Scene {
  readonly offered: Input[] = [];
  readonly results: string[] = [];
  readonly sent: { webhook: string; deliveryId: string; body: string }[] = [];
  readonly waits: number[] = [];
  readonly lines: string[] = [];
  readonly stop = new AbortController();
  now = 1_000_000;

  notifier(answer: (deliveryId: string, attempt: number) => boolean | Promise<boolean>): Notifier {
    const clock: Clock = {
      monotonicMs: () => this.now,
      sleep: (ms) => {
        this.waits.push(ms);
        this.now += ms;
        return Promise.resolve();
      },
      nextTurn: setImmediate,
    };
    const attempts = new Map<string, number>();
    const post: Post = async (webhook, { deliveryId, body }) => {
      this.sent.push({ webhook, deliveryId, body });
      const attempt = (attempts.get(deliveryId) ?? 0) + 1;
      attempts.set(deliveryId, attempt);
      const ok = await answer(deliveryId, attempt);
      return { ok, message: `the answer was ${ok ? 200 : 500}` };
    };
    return new Notifier({
      state: initialState,
      now: () => this.now,
      offer: (input) => this.offered.push(input),
      onNotified: (result) => this.results.push(result),
      log: pino({ level: 'trace' }, { write: (line: string) => void this.lines.push(line) }),
      signal: this.stop.signal,
      post,
      clock,
      random: () => 1,
    });
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

test('one that is refused is sent again at growing intervals, under the same id, and settled once taken', async () => {
  const scene = new Scene();
  scene.notifier((_, attempt) => attempt > 3).take([pending('s/end/1')]);
  await turns();
  expect(scene.waits).toEqual([1_000, 2_000, 4_000]);
  expect(new Set(scene.sent.map(({ deliveryId, body }) => `${deliveryId} ${body}`)).size).toBe(1);
  expect(scene.results).toEqual(['failed', 'failed', 'failed', 'delivered']);
  expect(scene.offered).toMatchObject([
    { type: 'notification_settled', deliveryId: 's/end/1', outcome: 'delivered', attempts: 4 },
  ]);
});

test('one that is never taken is given up after an hour, with intervals of five minutes at most', async () => {
  const scene = new Scene();
  scene.notifier(() => false).take([pending('s/end/1')]);
  await turns();
  expect(Math.max(...scene.waits)).toBe(300_000);
  expect(scene.now - 1_000_000).toBeGreaterThanOrEqual(3_600_000);
  expect(scene.now - 1_000_000).toBeLessThan(3_600_000 + 300_000);
  expect(scene.offered).toMatchObject([{ outcome: 'given_up', message: 'the answer was 500' }]);
  expect(scene.results.filter((result) => result === 'given_up')).toHaveLength(1);
});

test('one that has lain for a day is tried three times before it is given up', async () => {
  const scene = new Scene();
  scene.notifier(() => false).take([pending('s/end/1', { at: 1_000_000 - 86_400_000 })]);
  await turns();
  expect(scene.sent).toHaveLength(3);
  expect(scene.offered).toMatchObject([{ outcome: 'given_up' }]);
});

test('eight go at once, and one without an answer holds up no other', async () => {
  const scene = new Scene();
  const many = Array.from({ length: 20 }, (_, i) => pending(`s/failure/${i}`));
  const never = new Promise<boolean>(() => undefined);
  const notifier = scene.notifier((id) => (id === 's/failure/0' ? never : true));
  notifier.take(many);
  expect(scene.sent.length).toBeLessThanOrEqual(8);
  notifier.take(many);
  await turns();
  expect(scene.offered).toHaveLength(19);
  expect(scene.sent).toHaveLength(20);
});

test('nothing is settled once another leads', async () => {
  const scene = new Scene();
  let answer: (ok: boolean) => void = () => undefined;
  scene.notifier(() => new Promise((resolve) => (answer = resolve))).take([pending('s/end/1')]);
  scene.stop.abort();
  answer(true);
  await turns();
  expect(scene.offered).toEqual([]);
});

test('logs name the host of a webhook, and nothing else of its URL', async () => {
  const scene = new Scene();
  scene.notifier((_, attempt) => attempt > 1).take([pending('s/end/1')]);
  await turns();
  expect(scene.lines.join('')).toContain('hooks.example.com');
  expect(scene.lines.join('')).not.toMatch(/T0KEN|pw/);
});

test('the body says what, when, how far, how well and for how much', async () => {
  const scene = new Scene();
  const notifier = scene.notifier(() => true);
  const failures = {
    count: 12,
    trials: [{ trialId: 't0007', code: 'ATTEMPT_CRASHED', reason: 'it ended with 1' }],
  };
  notifier.take([
    pending('s/end/1'),
    pending('s/failure/2', { kind: 'failure', failures }),
    pending('s/hours-80/3', { kind: 'budget', level: { limit: 'hours', percent: 80 } }),
  ]);
  await turns();
  const [end, failure, budget] = scene.sent.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  expect(end).toEqual({
    version: 1,
    deliveryId: 's/end/1',
    kind: 'end',
    text: 's has ended (completed, every trial has ended): best 0.5 of t0002',
    time: '1970-01-01T00:16:40.000Z',
    sweep: { sweepId: 's', name: 'night', state: 'completed', reason: 'every trial has ended' },
    progress: { trialsTotal: 2, trialsByState: { succeeded: 2 } },
    best: { trialId: 't0002', value: 0.5, epoch: 3 },
    spent: { energyWh: 2, hours: 1.5 },
    budget: { energyWh: 10, hours: null },
    level: null,
    failures: null,
  });
  expect(failure).toMatchObject({
    failures,
    text: 's: 12 trials failed: t0007 (ATTEMPT_CRASHED) it ended with 1; and 11 more',
  });
  expect(budget).toMatchObject({
    level: { limit: 'hours', percent: 80 },
    text: 's: 80 % of budget.hours are spent',
  });
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function receiver(status: number, headers: Record<string, string> = {}) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume().on('end', () => response.writeHead(status, headers).end('an answer'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  return { requests, port: (server.address() as AddressInfo).port };
}

const message = { deliveryId: 's/end/1', body: '{}', signal: new AbortController().signal };

test('a post carries the id, and the user of its URL as a header', async () => {
  const { requests, port } = await receiver(204);
  const answer = await postJson(`http://us%40er:pw@127.0.0.1:${port}/T0KEN?a=1`, message);
  expect(answer).toEqual({ ok: true, message: 'the answer was 204' });
  expect(requests[0]?.url).toBe('/T0KEN?a=1');
  expect(requests[0]?.headers).toMatchObject({
    'wattsweep-delivery-id': 's/end/1',
    'content-type': 'application/json',
    authorization: `Basic ${Buffer.from('us@er:pw').toString('base64')}`,
  });
});

test('a redirect is not followed', async () => {
  const target = await receiver(200);
  const { port } = await receiver(302, { Location: `http://127.0.0.1:${target.port}/` });
  const answer = await postJson(`http://127.0.0.1:${port}/`, message);
  expect(answer).toEqual({ ok: false, message: 'the answer was 302, a redirect' });
  expect(target.requests).toEqual([]);
});

test('what cannot be reached is told by its code, without the address', async () => {
  const answer = await postJson('http://user:pw@127.0.0.1:1/T0KEN', message);
  expect(answer.ok).toBe(false);
  expect(answer.message).toMatch(/^no connection/);
  expect(answer.message).not.toMatch(/T0KEN|pw|127/);
});
