import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReportBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { REPORTS_STREAM, reportsSubject } from '../../../proto/subjects.js';
import type { Input } from '../../../services/coordinator/core/index.js';
import { feedReports } from '../../../services/coordinator/fleet/index.js';
import { Trimming } from '../../../services/coordinator/fleet/trimming.js';
import type { ReportsMark } from '../../../services/coordinator/ledger/index.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { until } from './world.js';

let nats: TestNats;
let link: NatsLink;
let stop: AbortController;

beforeEach(async () => {
  nats = await startNats();
  link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
  await ensureStreams(link, { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await link.close();
  await nats.stop();
});

const epoch = (number: number): Uint8Array =>
  ReportBatch.encode({
    trainerId: 'box',
    reports: [
      {
        spoolLine: number,
        fact: {
          $case: 'epoch',
          value: {
            key: { sweepId: 's', trialId: 't0001', attempt: 1, termId: '' },
            epoch: number,
            step: 0,
            metrics: { val_accuracy: NaN },
            trainEnergy: { joules: Infinity, meanWatts: undefined, method: 'rapl', absentReason: '' },
            evaluationEnergy: undefined,
            atUnixMs: 1,
          },
        },
      },
    ],
  }).finish();

let messages = 0;
const publish = (data: Uint8Array): Promise<unknown> =>
  link.publish(reportsSubject('box'), data, { messageId: `m${(messages += 1)}` });

interface Taken {
  readonly epochs: number[];
  readonly marks: number[];
  readonly inputs: Input[];
}

/** Feeds into a ledger that stands at `seq` and moves on with each message. */
function feed(
  seq: number,
  saves = true,
  storedAtMs: number | null = null,
): { taken: Taken; fed: Promise<void>; caughtUp: () => boolean } {
  const taken: Taken = { epochs: [], marks: [], inputs: [] };
  const sink = {
    savedReports: { seq, storedAtMs },
    backlogBytes: 0,
    offer: (inputs: readonly Input[], mark: ReportsMark): Promise<void> => {
      for (const input of inputs) {
        taken.inputs.push(input);
        if (input.type === 'reported' && input.report.kind === 'epoch')
          taken.epochs.push(input.report.record.epoch);
      }
      taken.marks.push(mark.seq);
      if (saves) sink.savedReports = mark;
      return Promise.resolve();
    },
  };
  let done = false;
  const options = {
    link,
    sink,
    now: () => 5,
    log: pino({ level: 'silent' }),
    onConsumed: () => undefined,
    trimEveryMs: 50,
    kept: { ms: 0, bytes: Infinity },
  };
  const fed = feedReports(options, stop.signal, () => (done = true));
  return { taken, fed, caughtUp: () => done };
}

test('reports are taken from where the ledger stands, and what is behind is trimmed', async () => {
  for (const number of [1, 2, 3, 4]) await publish(epoch(number));
  const { taken, caughtUp } = feed(2);
  await until(caughtUp);
  await publish(epoch(5));
  await until(() => taken.epochs.length === 3);
  expect(taken).toMatchObject({ epochs: [3, 4, 5], marks: [3, 4, 5] });
  // The message at the mark stays.
  await until(async () => (await link.bounds(REPORTS_STREAM)).firstSeq === 5);
  expect((await link.bounds(REPORTS_STREAM)).lastSeq).toBe(5);
});

test('a stream that was made anew is read from its start', async () => {
  await publish(epoch(1));
  const { taken, caughtUp } = feed(1_000);
  await until(caughtUp);
  expect(taken).toMatchObject({ epochs: [1], marks: [0, 1] });
  expect(taken.inputs[0]).toMatchObject({ type: 'reports_missing', fromSeq: 1_001, toSeq: null });
});

test.each([
  ['the same message stands at the mark', 0, [3]],
  ['another message stands at the mark: the stream was restored and went on', 5_000, [1, 2, 3]],
])('%s', async (_, offMs, epochs) => {
  for (const number of [1, 2, 3]) await publish(epoch(number));
  const marked = await link.messageAt(REPORTS_STREAM, 2);
  const { taken, caughtUp } = feed(2, true, marked!.storedAtMs + offMs);
  await until(caughtUp);
  expect(taken.epochs).toEqual(epochs);
  expect(await link.messageAt(REPORTS_STREAM, 9)).toBeNull();
});

test('a stream that is made anew while it is read is read on from its start', async () => {
  await publish(epoch(1));
  const { taken, caughtUp } = feed(0);
  await until(caughtUp);
  await link.manager.streams.delete(REPORTS_STREAM);
  await ensureStreams(link, { leaseTtlMs: 1_000, trainerTtlMs: 1_000, replicas: 1 });
  await until(() => taken.inputs.some(({ type }) => type === 'reports_missing'));
  await publish(epoch(2));
  await until(() => taken.epochs.includes(2));
  expect(taken.epochs).toEqual([1, 2]);
});

test('reports that were removed before they were taken are missed aloud, and what follows is taken', async () => {
  for (const number of [1, 2, 3, 4]) await publish(epoch(number));
  await link.purgeBelow(REPORTS_STREAM, 4);
  const { taken, caughtUp } = feed(1);
  await until(caughtUp);
  expect(taken.inputs[0]).toMatchObject({ type: 'reports_missing', fromSeq: 2, toSeq: 3 });
  expect(taken).toMatchObject({ epochs: [4], marks: [3, 4] });
});

test('reports behind the mark are kept for a while, within their room', () => {
  const bounds = (firstSeq: number, lastSeq: number, bytes: number) => ({ firstSeq, lastSeq, bytes });
  const trimming = new Trimming({ ms: 1_000, bytes: 500 });
  expect(trimming.below(0, 10, bounds(1, 10, 100))).toBe(1);
  expect(trimming.below(900, 20, bounds(1, 20, 200))).toBe(1);
  expect(trimming.below(1_000, 30, bounds(1, 30, 300))).toBe(11);
  expect(trimming.below(1_900, 30, bounds(11, 30, 200))).toBe(21);
  expect(trimming.below(2_000, 40, bounds(21, 80, 1_000))).toBe(40);
  expect(new Trimming({ ms: 1e9, bytes: 500 }).below(0, 100, bounds(1, 100, 1_000))).toBe(51);
});

test('a stream that was made anew is not trimmed before the ledger has what it holds', async () => {
  await publish(epoch(1));
  const { caughtUp } = feed(1_000, false);
  await until(caughtUp);
  await sleep(200);
  expect((await link.bounds(REPORTS_STREAM)).firstSeq).toBe(1);
});

test('an absent quantity is null, a metric that is not finite stays as it is, a reading that is not is none', async () => {
  await publish(epoch(1));
  const { taken, caughtUp } = feed(0);
  await until(caughtUp);
  expect(taken.inputs).toMatchObject([
    {
      type: 'reported',
      trainerId: 'box',
      at: 5,
      report: {
        record: {
          metrics: { val_accuracy: NaN },
          trainSeconds: null,
          samplesPerSecond: null,
          train: { joules: null, method: 'rapl' },
          evaluation: { joules: null, method: '' },
        },
      },
    },
  ]);
});

test('what cannot be read is left out, and the mark moves on', async () => {
  await publish(Buffer.from([0xff, 0xff, 0xff]));
  await publish(
    ReportBatch.encode({ trainerId: 'box', reports: [{ spoolLine: 1, fact: undefined }] }).finish(),
  );
  await publish(epoch(3));
  const { taken, caughtUp, fed } = feed(0);
  await until(caughtUp);
  expect(taken).toMatchObject({ epochs: [3], marks: [1, 2, 3] });
  stop.abort();
  await fed;
});
