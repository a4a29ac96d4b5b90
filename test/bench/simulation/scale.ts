/** Many boxes and many trials through the real core: every event is also made into the ledger's bytes. */
import { decide, initialState, type Action, type Input } from '../../../services/coordinator/core/index.js';
import { encodeEvents } from '../../../services/coordinator/ledger/codec.js';
import { epochRecord, sweepSpec, trainer } from '../../support/core.js';
import { randomOf } from '../../simulation/random.js';
import { Scheduler } from '../../simulation/scheduler.js';

export interface Scale {
  readonly trainers: number;
  readonly trials: number;
  readonly ended: number;
  readonly inputs: number;
  readonly ledgerBytes: number;
  readonly virtualSeconds: number;
  readonly seconds: number;
}

const MAX_EPOCHS = 9;

/** One sweep of `trials` points with ASHA on `trainers` boxes of one slot; each box tells of its epochs as they come. */
export async function runScale(trainers: number, trials: number): Promise<Scale> {
  const begin = performance.now();
  const scheduler = new Scheduler();
  const state = initialState();
  const random = randomOf(1, 'scale');
  let inputs = 0;
  let ledgerBytes = 0;
  const running = new Map<string, { stopped: boolean }>();
  const feed = (input: Input): void => {
    inputs += 1;
    const { events, actions } = decide(state, input);
    ledgerBytes += encodeEvents(events).length;
    for (const action of actions) act(action);
  };
  const act = (action: Action): void => {
    if (action.type === 'list_attempts') return;
    const { sweepId, trialId, attempt, trainerId } = action;
    const key = `${trialId}#${attempt}`;
    if (action.type === 'stop_attempt') {
      const stopped = running.get(key);
      if (stopped !== undefined) stopped.stopped = true;
      return;
    }
    const self = { stopped: false };
    running.set(key, self);
    const ref = { sweepId, trialId, attempt };
    let epoch = 0;
    const train = (): void => {
      const at = scheduler.now;
      if (self.stopped || epoch === MAX_EPOCHS) {
        running.delete(key);
        const facts = { code: '', message: '', seconds: 1, energy: epochRecord(1, 0).train };
        const endClass = self.stopped ? 'stopped' : 'completed';
        feed({
          type: 'reported',
          trainerId,
          report: { kind: 'ended', ...ref, class: endClass, ...facts },
          at,
        });
        return;
      }
      epoch += 1;
      const record = epochRecord(epoch, random.next());
      feed({ type: 'reported', trainerId, report: { kind: 'epoch', ...ref, record }, at });
      scheduler.after(random.between(30_000, 90_000), train);
    };
    scheduler.after(random.between(30_000, 90_000), train);
  };
  const settings = { retries: { crashed: 2, lost: 5, preempted: 10 } };
  feed({ type: 'lead', ledgerId: 'scale', termId: 'scale-term', coordinatorId: 'one', settings, at: 0 });
  for (let i = 0; i < trainers; i += 1) feed({ type: 'trainer_seen', trainer: trainer(`box${i}`), at: 0 });
  const domain = {
    kind: 'range' as const,
    min: 0,
    max: 1,
    scale: 'linear' as const,
    integer: false,
    count: trials,
  };
  const spec = sweepSpec({
    maxEpochs: MAX_EPOCHS,
    sweep: [{ name: 'x', domain }],
    stopping: { rule: 'asha', firstRung: 1, eta: 3, window: 1, compareWithin: [], brackets: 1 },
  });
  feed({ type: 'submit', sweepId: 's', spec, source: '', requestId: '', at: 0 });
  const sweep = state.sweeps.get('s');
  await scheduler.run(() => sweep?.endedAt !== null, Infinity);
  const ended = [...(sweep?.trials.values() ?? [])].filter(({ endedAt }) => endedAt !== null).length;
  const virtualSeconds = scheduler.now / 1_000;
  return {
    trainers,
    trials,
    ended,
    inputs,
    ledgerBytes,
    virtualSeconds,
    seconds: (performance.now() - begin) / 1_000,
  };
}
