import { expect, test } from 'vitest';
import {
  initialState,
  newTrainer,
  type AttemptRef,
  type State,
} from '../../../services/coordinator/core/index.js';
import { StartsUnderway } from '../../../services/coordinator/fleet/underway.js';

const ref = (trialId: string): AttemptRef => ({ sweepId: 's', trialId, attempt: 1 });

function stateWith(...trialIds: string[]): State {
  const state = initialState();
  const info = {
    trainerId: 'box',
    instanceId: '',
    address: '',
    slots: [],
    recipes: [],
    labels: {},
    powerMethod: '',
    draining: false,
  };
  const holders = new Map(trialIds.map((id, i) => [`slot${i}`, ref(id)]));
  state.trainers.set('box', { ...newTrainer(info), holders });
  return state;
}

const ids = (attempts: readonly AttemptRef[]): string[] => attempts.map(({ trialId }) => trialId);

test('a list that was asked for before StartAttempt was answered says nothing about that attempt', () => {
  const underway = new StartsUnderway(initialState());
  const state = stateWith('decided', 'sent', 'answered', 'answeredLater');
  for (const id of ['sent', 'answered', 'answeredLater']) underway.begin(ref(id));
  underway.settle(ref('answered'));
  const unknowable = underway.before();
  underway.settle(ref('answeredLater'));
  expect(ids(unknowable(state, 'box'))).toEqual(['decided', 'sent', 'answeredLater']);
  expect(ids(underway.before()(state, 'box'))).toEqual(['decided', 'sent']);
});

test('what an earlier term assigned is judged by the list, until this term starts it again', () => {
  const state = stateWith('inherited');
  const underway = new StartsUnderway(state);
  const unknowable = underway.before();
  expect(unknowable(state, 'box')).toEqual([]);
  underway.begin(ref('inherited'));
  expect(ids(unknowable(state, 'box'))).toEqual(['inherited']);
});

test('a start that is sent again is under way again', () => {
  const underway = new StartsUnderway(initialState());
  const state = stateWith('again');
  underway.begin(ref('again'));
  underway.settle(ref('again'));
  const unknowable = underway.before();
  underway.begin(ref('again'));
  expect(ids(unknowable(state, 'box'))).toEqual(['again']);
});

test('attempts without a slot are forgotten', () => {
  const underway = new StartsUnderway(stateWith('old'));
  underway.settle(ref('gone'));
  underway.keepOnly(initialState());
  expect(ids(underway.before()(stateWith('old', 'gone'), 'box'))).toEqual(['old', 'gone']);
});
