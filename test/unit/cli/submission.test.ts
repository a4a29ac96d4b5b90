import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { submitOrGoOn } from '../../../cli/up/submission.js';
import type { Submission } from '../../../client/coordinator.js';
import { WattsweepError } from '../../../proto/errors.js';
import {
  Sweep,
  SweepState,
  type GetSweepResponse,
  type SubmitSweepResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';

const FILE = { yaml: 'name: study', spec: { name: 'study' } };
const PLAIN = { overrides: [], anew: false, smoke: false };

describe('the sweep of `up`', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'wattsweep-submission-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Accepts each request once, as a coordinator does; the answer to the first may get lost. */
  class Accepting {
    readonly sweeps = new Map<string, { sweepId: string; state: SweepState }>();
    readonly deleted = new Set<string>();
    losesAnswer = false;
    refuses = false;

    submit({ requestId }: Submission): Promise<SubmitSweepResponse> {
      if (this.refuses) return Promise.reject(new WattsweepError('RECIPE_NOT_OFFERED', 'no trainer has it'));
      if (this.deleted.has(requestId))
        return Promise.reject(new WattsweepError('SWEEP_NOT_FOUND', 'it was deleted since'));
      const known = this.sweeps.get(requestId) ?? {
        sweepId: `study-${this.sweeps.size + this.deleted.size + 1}`,
        state: SweepState.RUNNING,
      };
      this.sweeps.set(requestId, known);
      if (this.losesAnswer) return Promise.reject(new Error('killed'));
      return Promise.resolve({ sweepId: known.sweepId, warnings: [] });
    }

    get(sweepId: string): Promise<GetSweepResponse> {
      const found = [...this.sweeps.values()].find((sweep) => sweep.sweepId === sweepId);
      return Promise.resolve({
        sweep: found === undefined ? undefined : Sweep.fromPartial({ sweepId, state: found.state }),
        trials: [],
      });
    }

    compare = (): Promise<readonly string[]> => Promise.resolve([]);
  }

  const killed = async (coordinator: Accepting): Promise<void> => {
    coordinator.losesAnswer = true;
    await expect(submitOrGoOn(coordinator, FILE, folder, PLAIN)).rejects.toThrow('killed');
    coordinator.losesAnswer = false;
  };

  it('is submitted once, though `up` is killed before it knows the answer', async () => {
    const coordinator = new Accepting();
    await killed(coordinator);
    expect(await submitOrGoOn(coordinator, FILE, folder, PLAIN)).toBe('study-1');
    expect(await submitOrGoOn(coordinator, FILE, folder, PLAIN)).toBe('study-1');
    expect(coordinator.sweeps.size).toBe(1);
  });

  it('is another one with --new', async () => {
    const coordinator = new Accepting();
    await killed(coordinator);
    expect(await submitOrGoOn(coordinator, FILE, folder, { ...PLAIN, anew: true })).toBe('study-2');
  });

  it('is another one when that of the unanswered request was deleted', async () => {
    const coordinator = new Accepting();
    await killed(coordinator);
    for (const id of coordinator.sweeps.keys()) coordinator.deleted.add(id);
    coordinator.sweeps.clear();
    expect(await submitOrGoOn(coordinator, FILE, folder, PLAIN)).toBe('study-2');
  });

  it('is still the last one when a new one is refused', async () => {
    const coordinator = new Accepting();
    await submitOrGoOn(coordinator, FILE, folder, PLAIN);
    coordinator.refuses = true;
    await expect(submitOrGoOn(coordinator, FILE, folder, { ...PLAIN, anew: true })).rejects.toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
    });
    coordinator.refuses = false;
    expect(await submitOrGoOn(coordinator, FILE, folder, PLAIN)).toBe('study-1');
  });

  it('is another one once the last has ended', async () => {
    const coordinator = new Accepting();
    await submitOrGoOn(coordinator, FILE, folder, PLAIN);
    for (const sweep of coordinator.sweeps.values()) sweep.state = SweepState.COMPLETED;
    expect(await submitOrGoOn(coordinator, FILE, folder, PLAIN)).toBe('study-2');
  });
});
