/** One service at a time uses a trainer's folder: service.json says which, and whether it still lives. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { WattsweepError } from '../../../proto/errors.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { bootId, identify, isAlive, type ProcessIdentity } from '../host/process.js';
import type { TrainerLayout } from '../layout.js';

interface ServiceFile extends ProcessIdentity {
  readonly instanceId: string;
  readonly bootId: string;
}

export interface Instance {
  readonly instanceId: string;
  /** Instance of the service that used the folder before and is dead; null for none. */
  readonly predecessor: string | null;
  release(): void;
}

/** Takes the folder. Throws ALREADY_RUNNING when a living service has it. */
export function takeFolder(layout: TrainerLayout): Instance {
  mkdirSync(layout.root, { recursive: true });
  const before = readJsonSync(layout.serviceFile) as ServiceFile | undefined;
  if (before?.bootId === bootId() && isAlive(before))
    throw new WattsweepError(
      'ALREADY_RUNNING',
      `A trainer service (pid ${String(before.pid)}) uses ${layout.root} already.`,
    );
  const instanceId = randomBytes(8).toString('hex');
  const file: ServiceFile = { instanceId, bootId: bootId(), ...identify(process.pid) };
  writeJsonSync(layout.serviceFile, file, { durable: true });
  return {
    instanceId,
    predecessor: before?.instanceId ?? null,
    release: () => rmSync(layout.serviceFile, { force: true }),
  };
}
