import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  fold,
  initialState,
  type LedgerEvent,
  type State,
} from '../../../services/coordinator/core/index.js';
import { openTrainers } from '../../../services/coordinator/core/lookups/openings.js';
import { epochRecord, sweepSpec, trainer } from '../../support/core.js';

const scan = (state: State): string[] =>
  [...state.trainers.values()]
    .filter(({ holders, info }) => holders.size < info.slots.length)
    .map(({ info }) => info.trainerId);

const step = fc.oneof(
  fc.record({ kind: fc.constant('join' as const), box: fc.nat(5), slots: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ kind: fc.constant('assign' as const), box: fc.nat(5), slot: fc.nat(1) }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(9) }),
);

test('open trainers are those that a look at all of them finds, in the order of their joining', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const state = initialState();
      const take = (event: LedgerEvent): void => fold(state, event);
      const at = 0;
      const sweepId = 's';
      take({ type: 'sweep_submitted', sweepId, spec: sweepSpec(), source: '', requestId: '', points: 1, at });
      const [pointHash, repeat, seed] = ['', 1, 1];
      take({
        type: 'trial_created',
        sweepId,
        trialId: 't',
        index: 0,
        parameters: {},
        pointHash,
        repeat,
        seed,
        at,
      });
      let attempts = 0;
      expect(openTrainers(state)).toEqual([]);
      for (const one of steps) {
        const trial = { sweepId, trialId: 't' };
        if (one.kind === 'join')
          take({ type: 'trainer_joined', trainer: trainer(`box${one.box}`, one.slots), at });
        else if (one.kind === 'assign') {
          const [trainerId, slotId] = [`box${one.box}`, `slot${one.slot}`];
          take({
            type: 'attempt_assigned',
            ...trial,
            attempt: ++attempts,
            trainerId,
            slotId,
            resumeFrom: '',
            at,
          });
        } else if (attempts > 0) {
          const said = { class: 'lost', code: '', message: '', seconds: null, slotRetryAt: null } as const;
          const attempt = 1 + (one.which % attempts);
          take({ type: 'attempt_ended', ...trial, attempt, ...said, energy: epochRecord(1, 0).train, at });
        }
        expect(openTrainers(state).map(({ info }) => info.trainerId)).toEqual(scan(state));
      }
    }),
  );
});
