import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReportBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { REPORTS_STREAM, reportsSubject } from '../../../proto/subjects.js';
import type { Input } from '../../../services/coordinator/core/index.js';
import { feedReports } from '../../../services/coordinator/fleet/index.js';
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
            key: { sweepId: 's', trialId: 't0001', attempt: 1 },
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

/** Feeds into a ledger that stands at `savedReportsSeq` and moves on with each message. */
function feed(
  savedReportsSeq: number,
  saves = true,
): { taken: Taken; fed: Promise<void>; caughtUp: () => boolean } {
  const taken: Taken = { epochs: [], marks: [], inputs: [] };
  const sink = {
    savedReportsSeq,
    backlogBytes: 0,
    offer: (inputs: readonly Input[], mark: number): Promise<void> => {
      for (const input of inputs) {
        taken.inputs.push(input);
        if (input.type === 'reported' && input.report.kind === 'epoch')
          taken.epochs.push(input.report.record.epoch);
      }
      taken.marks.push(mark);
      if (saves) sink.savedReportsSeq = mark;
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
  await until(async () => (await link.bounds(REPORTS_STREAM)).firstSeq === 6);
  expect((await link.bounds(REPORTS_STREAM)).lastSeq).toBe(5);
});

test('a stream that was made anew is read from its start', async () => {
  await publish(epoch(1));
  const { taken, caughtUp } = feed(1_000);
  await until(caughtUp);
  expect(taken).toMatchObject({ epochs: [1], marks: [1] });
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
