/** What a trainer's list of attempts and its refusals tell of a ledger that was restored, and what they do not. */
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { AttemptPhase, type AttemptStatus } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { systemClock } from '../../../services/coordinator/clock.js';
import type { Input } from '../../../services/coordinator/core/index.js';
import {
  Commander,
  type Answer,
  type CommanderOptions,
  type TrainerCommands,
} from '../../../services/coordinator/fleet/index.js';
import { sweepSpec, trainer, World } from '../../support/core.js';

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const notAsked = (): Promise<never> => Promise.reject(new Error('not asked for'));

interface Scene {
  readonly world: World;
  readonly offered: Input[];
  readonly list: () => void;
}

function scene(
  answer: () => Answer<{ attempts: readonly AttemptStatus[] }>,
  over: Partial<CommanderOptions>,
): Scene {
  const world = new World();
  world.submit(sweepSpec());
  world.join(trainer('box', 1, { knowsTermIds: true }));
  const [first] = world.running();
  world.started(first!);
  const stop = new AbortController();
  stops.push(stop);
  const offered: Input[] = [];
  const commands: TrainerCommands = {
    startAttempt: notAsked,
    stopAttempt: notAsked,
    listAttempts: () => Promise.resolve(answer()),
    keepOnly: () => undefined,
    close: () => undefined,
  };
  const commander = new Commander({
    commands,
    state: () => world.state,
    now: () => 1,
    offer: (input) => offered.push(input),
    onStaleTerm: () => undefined,
    reportsTaken: () => Promise.resolve(),
    term: () => 1,
    onCommanded: () => undefined,
    log: pino({ level: 'silent' }),
    signal: stop.signal,
    clock: { ...systemClock, sleep: () => turn() },
    ...over,
  });
  return { world, offered, list: () => commander.perform([{ type: 'list_attempts', trainerId: 'box' }]) };
}

const status = (over: Partial<AttemptStatus>): AttemptStatus => ({
  key: { sweepId: 's', trialId: 't0001', attempt: 1, termId: 'term1' },
  slotId: 'slot0',
  furtherSlotIds: [],
  phase: AttemptPhase.ENDED,
  epoch: 3,
  ledgerId: 'ledger',
  endAcknowledged: true,
  ...over,
});

const unheard = ({ offered }: Scene): Input[] => offered.filter(({ type }) => type === 'end_unheard');

test('an end that NATS has taken, and that is not there once the reports are read, is missed', async () => {
  let asked = 0;
  const reportsTaken = (): Promise<void> =>
    (asked += 1) === 1 ? Promise.reject(new Error('NATS is away')) : Promise.resolve();
  const one = scene(() => ({ kind: 'ok', response: { attempts: [status({})] } }), { reportsTaken });
  one.list();
  for (let i = 0; i < 20; i += 1) await turn();
  expect(asked).toBe(2);
  expect(unheard(one)).toMatchObject([{ trialId: 't0001', attempt: 1, termId: 'term1', trainerId: 'box' }]);
});

test.each([
  ['it is heard meanwhile', status({})],
  ['NATS has not acknowledged it', status({ endAcknowledged: false })],
  ['it is of another ledger', status({ ledgerId: 'other' })],
  ['it is of another term', status({ key: { sweepId: 's', trialId: 't0001', attempt: 1, termId: 'lost' } })],
])('an end is not missed when %s', async (why, listed) => {
  const one: Scene = scene(() => ({ kind: 'ok', response: { attempts: [listed] } }), {
    reportsTaken: () => {
      const [first] = one.world.running();
      if (why.includes('heard')) one.world.end(first!);
      return Promise.resolve();
    },
  });
  one.list();
  for (let i = 0; i < 20; i += 1) await turn();
  expect(one.offered.map(({ type }) => type)).toContain('attempts_listed');
  expect(unheard(one)).toEqual([]);
});

test.each([
  ['says that another term is newer', [3, 3, 3], 1],
  ['says nothing when this leader has gone above its term meanwhile', [3, 8, 8], 0],
])('a refusal %s', async (_, terms, times) => {
  const answers: Answer<{ attempts: readonly AttemptStatus[] }>[] = [
    { kind: 'refused', code: 'STALE_TERM', retryable: false, message: '', knownTerm: 8 },
    { kind: 'ok', response: { attempts: [] } },
  ];
  const stale: (number | null)[] = [];
  const left = [...terms];
  const one = scene(() => answers.shift()!, {
    onStaleTerm: (_trainerId, knownTerm) => stale.push(knownTerm),
    term: () => left.shift() ?? terms.at(-1)!,
  });
  one.list();
  for (let i = 0; i < 20; i += 1) await turn();
  expect(stale).toEqual(times === 1 ? [8] : []);
  expect(one.offered.map(({ type }) => type)).toEqual(['attempts_listed']);
});
