import { describe, expect, it } from 'vitest';
import type { Runnable } from '../../../services/trainer/runner/graph/signature.js';
import { resnetV2 } from '../../../services/trainer/runner/recipes/images/networks.js';
import { Model } from '../../../services/trainer/runner/recipes/images/model.js';
import { parseSettings } from '../../../services/trainer/runner/recipes/images/settings.js';

const of = (precision: string) => parseSettings({ depth: 11, precision }, 1);
const step = [new Float32Array(3072), new Int32Array(1), { lr: 1 }, 1] as const;
/** A program that fetches the same from every step. */
const fetching = (fetched: Readonly<Record<string, number>>): Runnable =>
  ({
    run: () => Object.fromEntries(Object.entries(fetched).map(([name, value]) => [name, [value]])),
  }) as unknown as Runnable;
const forward = { crossEntropySum: 2, correct: 1, activations: 3 };

describe('the loss scale', () => {
  it('is a variable of float16 alone, and so stands in its checkpoints', () => {
    const architecture = resnetV2(11);
    expect(Model.vectors(architecture, of('float16'))).toMatchObject({ lossScale: 1, goodSteps: 1 });
    expect(Model.vectors(architecture, of('bfloat16'))).not.toHaveProperty('lossScale');
    const initial = Model.initial(architecture, of('float16'), 1);
    expect([initial['lossScale'], initial['goodSteps']]).toEqual([
      Float32Array.of(32_768),
      Float32Array.of(0),
    ]);
  });

  it('is told with each step, and whether it took an update', () => {
    const program = fetching({ ...forward, applied: 0, lossScale: 64 });
    const left = new Model(program, of('float16')).train(...step);
    expect(left).toEqual({
      crossEntropySum: 2,
      correct: 1,
      images: 1,
      finite: true,
      applied: false,
      lossScale: 64,
    });
    const taken = new Model(fetching(forward), of('float32')).train(...step);
    expect(taken).toMatchObject({ applied: true, lossScale: 1 });
  });
});
