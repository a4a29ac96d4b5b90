import { describe, expect, it } from 'vitest';
import type {
  StartAttemptRequest,
  StartAttemptResponse,
  StartAttemptsResponse,
} from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { Answer } from '../../../services/coordinator/fleet/index.js';
import { StartsTogether } from '../../../services/coordinator/fleet/starts-together.js';

const request = (trialId: string, parametersJson = '{}'): StartAttemptRequest => ({
  fence: { ledgerId: 'l', term: 1, termId: '' },
  key: { sweepId: 's', trialId, attempt: 1, termId: '' },
  slotId: 'cpu',
  recipe: 'replay',
  command: [],
  parametersJson,
  maxEpochs: 1,
  seed: 1,
  repeat: 1,
  objectiveMetric: 'loss',
  resumeFrom: '',
  furtherSlotIds: [],
  trialTermId: '',
  setup: undefined,
  code: undefined,
});
const idOf = ({ key }: StartAttemptRequest): string => key?.trialId ?? '';

/** Calls that are written down: the trials of each, and its address. */
function recorded(
  several: (starts: readonly StartAttemptRequest[]) => Answer<StartAttemptsResponse> = (starts) => ({
    kind: 'ok',
    response: { outcomes: starts.map(() => ({ created: true, failure: undefined })) },
  }),
) {
  const calls: string[] = [];
  const together = new StartsTogether({
    one: (address, start): Promise<Answer<StartAttemptResponse>> => {
      calls.push(`${address} ${idOf(start)}`);
      return Promise.resolve({ kind: 'ok', response: { created: true } });
    },
    several: (address, starts) => {
      calls.push(`${address} [${starts.map(idOf).join(' ')}]`);
      return Promise.resolve(several(starts));
    },
  });
  return { calls, together };
}

describe('starts of the same moment', () => {
  it('travel together by trainer, later ones and single ones alone', async () => {
    const { calls, together } = recorded();
    await Promise.all([
      together.start('a', request('t1')),
      together.start('b', request('t2')),
      together.start('a', request('t3')),
    ]);
    await together.start('a', request('t4'));
    expect(calls).toEqual(['a [t1 t3]', 'b t2', 'a t4']);
  });

  it('have an answer each', async () => {
    const { together } = recorded(() => ({
      kind: 'ok',
      response: {
        outcomes: [
          { created: true, failure: undefined },
          { created: false, failure: { code: 'STALE_TERM', message: 'old', knownTerm: 7 } },
          {
            created: false,
            failure: { code: 'FROM_A_LATER_VERSION', message: 'what', knownTerm: undefined },
          },
        ],
      },
    }));
    const starts = ['t1', 't2', 't3', 't4'].map((id) => together.start('a', request(id)));
    expect(await Promise.all(starts)).toMatchObject([
      { kind: 'ok', response: { created: true } },
      { kind: 'refused', code: 'STALE_TERM', knownTerm: 7, message: 'old' },
      { kind: 'refused', code: 'INTERNAL', message: 'what' },
      { kind: 'unreachable' },
    ]);
  });

  it('all hear of a call that did not arrive', async () => {
    const { together } = recorded(() => ({ kind: 'unreachable', message: 'away' }));
    const starts = ['t1', 't2'].map((id) => together.start('a', request(id)));
    for (const answer of await Promise.all(starts))
      expect(answer).toEqual({ kind: 'unreachable', message: 'away' });
  });

  it('go one by one to a trainer that does not know the call, until nobody has its address', async () => {
    const { calls, together } = recorded(() => ({
      kind: 'refused',
      code: 'PARAMETER_REFUSED',
      retryable: false,
      message: 'unknown method',
      isUnknownCall: true,
    }));
    const both = () => Promise.all(['t1', 't2'].map((id) => together.start('a', request(id))));
    expect(await both()).toMatchObject([{ kind: 'ok' }, { kind: 'ok' }]);
    await both();
    together.forget('a');
    await both();
    const each = ['a t1', 'a t2'];
    expect(calls).toEqual(['a [t1 t2]', ...each, ...each, 'a [t1 t2]', ...each]);
  });

  it('are as many and as long as a message takes', async () => {
    const { calls, together } = recorded();
    const long = 'x'.repeat(300 * 1024);
    await Promise.all([
      ...Array.from({ length: 65 }, (_, i) => together.start('a', request(String(i)))),
      ...['l1', 'l2'].map((id) => together.start('a', request(id, long))),
    ]);
    expect(calls.map((call) => call.split(' ').length - 1)).toEqual([64, 2, 1]);
  });
});
