/**
 * What a killed `up` left behind: its services run on by design, so that training does not end with it. The next `up` on
 * the same folder ends them and starts its own; attempts stay where they are and are adopted by the new trainers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../../proto/errors.js';
import { LEAVE_SIGNAL } from './child-protocol.js';
import { type ProcessIdentity, isAlive, signalProcess } from './process-identity.js';
import type { UpRecord } from './record.js';

const POLL_MS = 50;

/** In the order of their dependence: who is started last ends first. @returns names of what was still running. */
export async function endLeftovers(record: UpRecord | null, endWithinMs = 15_000): Promise<string[]> {
  const ended: string[] = [];
  for (const service of [...(record?.services ?? [])].reverse()) {
    // A trainer is not drained: its attempts wait for the next one.
    const signal = service.name.startsWith('trainer ') ? LEAVE_SIGNAL : 'SIGTERM';
    if (!signalProcess(service, signal)) continue;
    ended.push(service.name);
    if (await gone(service, endWithinMs)) continue;
    signalProcess(service, 'SIGKILL');
    if (!(await gone(service, 2000))) {
      throw new WattsweepError(
        'ALREADY_RUNNING',
        `${service.name} (process ${service.pid}) of an earlier run does not end`,
      );
    }
  }
  return ended;
}

async function gone(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
