/** The end of an attempt that no supervisor watches (any more). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { killTree } from '../host/process.js';
import type { Attempt } from './attempt.js';
import type { AttemptFollower } from './follower.js';
import type { AttemptStore } from './store.js';

export interface OrphanContext {
  readonly store: AttemptStore;
  readonly follower: AttemptFollower | undefined;
  readonly isClosed: () => boolean;
  readonly log: Logger;
}

const DISK_RETRY_MS = 500;

/** Kills what is left of it and writes its end, unless that stands there already. */
export async function endOrphan(
  attempt: Attempt,
  end: Parameters<AttemptStore['writeEnd']>[1],
  { store, follower, isClosed, log }: OrphanContext,
): Promise<void> {
  // Whoever runs it stands in the spool. A spool that cannot be read now is read again below.
  await follower?.notify().catch(() => undefined);
  // After another boot, or long after, the group's number may be somebody else's: the tokens never are.
  const runnerToken = attempt.run?.token;
  const tokens = [attempt.accepted.token, ...(runnerToken === undefined ? [] : [runnerToken])];
  await killTree({ group: 0, tokens });
  await follower?.notify();
  // Two may have found it orphaned: the first one's end stands. A full disk is waited for.
  while (!attempt.over && !attempt.isEndWritten && !isClosed()) {
    try {
      store.writeEnd(attempt, end);
    } catch (error) {
      log.error({ attempt: attempt.name, err: error }, 'the end cannot be written yet');
      await sleep(DISK_RETRY_MS);
    }
  }
  await follower?.notify();
}
