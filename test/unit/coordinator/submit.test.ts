import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Leader } from '../../../services/coordinator/api/index.js';
import { submitSweep } from '../../../services/coordinator/api/submit.js';
import { decide, initialState, type Input } from '../../../services/coordinator/core/index.js';

const SWEEP = `
name: twice
recipe: resnet-cifar10
objective: { metric: val_accuracy, goal: maximize }
max_epochs: 2
sweep: { batch_size: [32, 64] }
`;

test('the same request twice, both before the first is decided, names one sweep', async () => {
  const state = initialState();
  const waiting: Input[] = [];
  const leader: Leader = {
    state,
    history: () => Readable.from([]),
    acknowledged: () => Promise.resolve(),
    // As while the ledger is folded again: inputs are decided later, in order.
    offer: async (inputs) => {
      waiting.push(...inputs);
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (const input of waiting.splice(0)) decide(state, input);
    },
    subscribe: () => () => undefined,
  };
  const request = { yaml: SWEEP, overrides: [], tags: [], smoke: false, code: undefined, requestId: 'r' };
  const [one, two] = await Promise.all([1, 2].map(() => submitSweep(leader, request, () => 1)));
  expect([...state.sweeps.keys()]).toEqual([one?.sweepId]);
  expect(two?.sweepId).toBe(one?.sweepId);
});

test('a request id that fits no entry of the ledger is refused before anything is decided', async () => {
  const leader = { state: initialState() } as unknown as Leader;
  const request = {
    yaml: SWEEP,
    overrides: [],
    tags: [],
    smoke: false,
    code: undefined,
    requestId: 'r'.repeat(2_000_000),
  };
  await expect(submitSweep(leader, request, () => 1)).rejects.toMatchObject({ code: 'USAGE' });
});
