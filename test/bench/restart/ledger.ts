/**
 * A large ledger, as a long sweep leaves it: made by the core itself from reports that arrive interleaved, many to an
 * entry. No trial is stopped (all tie), so that each has all its reports; some still run at the end.
 */
import {
  decide,
  initialState,
  type Input,
  type LedgerEvent,
} from '../../../services/coordinator/core/index.js';
import { encodeBatch, encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { epochRecord, sweepSpec, trainer } from '../../support/core.js';

export interface LedgerShape {
  readonly trials: number;
  readonly reportsEach: number;
  /** Trials that run at the same time. @default 500 */
  readonly slots?: number;
  /** Reports that share an entry. @default 200 */
  readonly reportsAnEntry?: number;
}

/** Entries of the ledger, in order. */
export function* makeLedger(shape: LedgerShape): Generator<Uint8Array> {
  const { trials, reportsEach, slots = 500, reportsAnEntry = 200 } = shape;
  const state = initialState();
  let events: LedgerEvent[] = [];
  let at = 1_700_000_000_000;
  let entries = 0;
  const feed = (input: Input): string[] => {
    const decided = decide(state, input);
    events.push(...decided.events);
    return decided.actions.flatMap((action) => (action.type === 'start_attempt' ? [action.trialId] : []));
  };
  const entry = (): Uint8Array => {
    entries += 1;
    const header = { appendId: `append-${entries}`, term: 1, at, reportsSeq: entries };
    const data = encodeBatch(header, [encodeEvents(events)]);
    events = [];
    return data;
  };

  const settings = { retries: { crashed: 2, lost: 5, preempted: 10 } };
  feed({ type: 'lead', ledgerId: 'bench', coordinatorId: 'bench', settings, at });
  const spec = sweepSpec({
    maxEpochs: reportsEach,
    search: { method: 'random', trials, caseWeights: [1] },
    sweep: [
      {
        name: 'lr_peak',
        domain: { kind: 'range', min: 1e-4, max: 1, scale: 'log', count: null, integer: false },
      },
    ],
    stopping: { rule: 'asha', firstRung: 1, eta: 3, window: 1, compareWithin: [], brackets: 1 },
  });
  const waiting = feed({ type: 'trainer_seen', trainer: trainer('box', slots), at });
  waiting.push(...feed({ type: 'submit', sweepId: 's', spec, source: '', requestId: '', at }));
  yield entry();

  const noise = numbers();
  const running = waiting.map((trialId) => ({ trialId, epoch: 0 }));
  for (let left = trials * reportsEach, turn = 0; left > 0; turn += 1) {
    const trial = running[turn % running.length];
    if (trial === undefined) throw new Error('nothing runs');
    trial.epoch += 1;
    at += 7;
    left -= 1;
    const ref = { sweepId: 's', trialId: trial.trialId, attempt: 1 };
    const record = epochRecord(trial.epoch, trial.epoch / (trial.epoch + 5), {
      metrics: { val_accuracy: trial.epoch / (trial.epoch + 5), loss: noise(), val_loss: noise() },
      trainSeconds: 10 + noise(),
      evaluationSeconds: 1 + noise(),
      samplesPerSecond: 1_000 * noise(),
      train: { joules: 500 * noise(), meanWatts: 150 + noise(), method: 'nvml-counter', absentReason: '' },
      evaluation: {
        joules: 50 * noise(),
        meanWatts: 120 + noise(),
        method: 'nvml-counter',
        absentReason: '',
      },
      at,
    });
    feed({ type: 'reported', trainerId: 'box', report: { kind: 'epoch', ...ref, record }, at });
    if (trial.epoch === reportsEach) {
      const next = feed({
        type: 'reported',
        trainerId: 'box',
        report: {
          kind: 'ended',
          ...ref,
          class: 'completed',
          code: '',
          message: '',
          seconds: 1,
          energy: record.train,
        },
        at,
      })[0];
      if (next !== undefined) running[turn % running.length] = { trialId: next, epoch: 0 };
      else {
        running.splice(turn % running.length, 1);
        turn -= 1;
      }
    }
    if (left % reportsAnEntry === 0) yield entry();
  }
}

/** The same numbers in [0, 1) each time, of 53 bits: figures that no compression makes small. */
function numbers(): () => number {
  let a = 1;
  return () => {
    a = (a * 48_271) % 2_147_483_647;
    return (a / 2_147_483_647 + a * 2 ** -52) % 1;
  };
}
