import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openEngine, setThreads } from '../../../services/trainer/runner/engine.js';
import type { Reference } from '../../parity/compare.js';
import { beyond, distance } from '../../parity/compare.js';
import { replay } from '../../parity/replay.js';

// Made by `npm run test:parity -- --write`.
const fixture = new URL('../../fixtures/keras-parity.json', import.meta.url);
const reference = JSON.parse(readFileSync(fixture, 'utf8')) as Reference;

setThreads(2);
const engine = openEngine({ model: 'CPU' });

describe('30 steps of ResNet11v2 with L2', () => {
  it.each(Object.entries(reference.cases))(
    'with %s agree with Keras in losses, weights, moving statistics and evaluation',
    async (name, expected) => {
      const ours = await replay(engine, name, expected.rates);
      expect(beyond(name, distance(ours, expected))).toEqual([]);
    },
  );

  it('was trained by Keras on the TensorFlow that computes here', () => {
    expect(reference.tensorflow).toBe(engine.version);
  });
});
