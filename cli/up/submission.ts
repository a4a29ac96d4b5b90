/**
 * How `up` submits its sweep once, whenever it is killed: the request's id stands in the data folder before the request
 * is sent, and a request that comes again names the sweep that it made.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coordinator } from '../../client/coordinator.js';
import { WattsweepError } from '../../proto/errors.js';
import { note, warn } from '../output.js';
import type { SweepFile } from '../sweep-file.js';
import { hasEnded } from '../sweep-view.js';

export interface SubmissionOptions {
  readonly overrides: readonly string[];
  /** Also where an interrupted sweep of that name waits. */
  readonly anew: boolean;
  readonly smoke: boolean;
}

/** What this folder ran last: an interrupted `up SWEEP` typed again goes on instead of starting anew. */
interface LastSweep {
  /** Absent while it is not known whether the request was accepted. */
  readonly sweepId?: string;
  /** Absent in files of versions that did not write it. */
  readonly requestId?: string;
  /** Of the file and the overrides. */
  readonly digest: string;
  /** Of the sweep. Absent in files of versions that did not write it. */
  readonly name?: string;
}

/** @returns the sweep's id @throws as the coordinator's submission */
export async function submitOrGoOn(
  coordinator: Pick<Coordinator, 'submit' | 'get' | 'compare'>,
  { yaml, spec: { name } }: Pick<SweepFile, 'yaml'> & { readonly spec: { readonly name: string } },
  dataDir: string,
  { overrides, anew, smoke }: SubmissionOptions,
): Promise<string> {
  const path = join(dataDir, 'last-sweep.json');
  const digest = createHash('sha256')
    .update(JSON.stringify([yaml, overrides]))
    .digest('hex');
  const last = readLast(path);
  const isSame = last !== null && (last.digest === digest || last.name === name);
  const lastId = isSame ? last.sweepId : undefined;
  if (lastId !== undefined && (await isUnfinished(coordinator, lastId))) {
    if (!anew) {
      note(`going on with ${lastId}, which was interrupted`);
      if (last?.digest !== digest) await sayWhatChanged(coordinator, { sweepId: lastId, yaml, overrides });
      return lastId;
    }
    note(`${lastId} is unfinished and shares the slots; \`wattsweep stop ${lastId}\` ends it`);
  }
  const submit = async (requestId: string): Promise<string> => {
    writeLast(path, { requestId, digest, name });
    const { sweepId, warnings } = await coordinator
      .submit({ yaml, overrides, requestId, smoke })
      .catch((error: unknown) => {
        // A request that was refused made nothing: what ran before is still the last.
        if (error instanceof WattsweepError && !error.entry.retryable) writeLast(path, last);
        throw error;
      });
    for (const warning of warnings) warn(warning);
    writeLast(path, { sweepId, requestId, digest, name });
    return sweepId;
  };
  const isUnanswered = isSame && last.sweepId === undefined && last.requestId !== undefined;
  if (!isUnanswered || anew) return submit(randomUUID());
  try {
    return await submit(last.requestId);
  } catch (error) {
    // It was accepted then, and the sweep was deleted since.
    if (error instanceof WattsweepError && error.code === 'SWEEP_NOT_FOUND') return submit(randomUUID());
    throw error;
  }
}

async function sayWhatChanged(
  coordinator: Pick<Coordinator, 'compare'>,
  request: { readonly sweepId: string; readonly yaml: string; readonly overrides: readonly string[] },
): Promise<void> {
  const differences = await coordinator.compare(request);
  if (differences.length === 0) return;
  warn(`the file has changed since ${request.sweepId} was submitted, and what is recorded holds:`);
  for (const difference of differences) note(`  ${difference}`);
  note(
    'To run the file as it is now, add --new. Points, repeats and epochs can be added by `wattsweep extend`.',
  );
}

function readLast(path: string): LastSweep | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LastSweep;
  } catch {
    return null;
  }
}

/** Replaced as a whole: half of it would be taken for none. */
function writeLast(path: string, last: LastSweep | null): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(last));
  renameSync(draft, path);
}

async function isUnfinished(coordinator: Pick<Coordinator, 'get'>, sweepId: string): Promise<boolean> {
  try {
    const { sweep } = await coordinator.get(sweepId);
    return sweep !== undefined && !hasEnded(sweep);
  } catch (error) {
    if (error instanceof WattsweepError && error.code === 'SWEEP_NOT_FOUND') return false;
    throw error;
  }
}
