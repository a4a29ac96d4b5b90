/** Names on NATS: streams, subjects, buckets. Nobody else writes such a string. */

/** What coordinators decided and accepted: one total order for all sweeps. */
export const LEDGER_STREAM = 'LEDGER';
/** Results of epochs and ends of attempts, kept until the ledger has accepted them. */
export const REPORTS_STREAM = 'REPORTS';
/** Steps and watts: age and size limits. */
export const TELEMETRY_STREAM = 'TELEMETRY';
/** KV bucket in which each trainer renews its record under a TTL. */
export const TRAINERS_BUCKET = 'trainers';
/** KV bucket with the lease that says which coordinator should lead. */
export const LEADER_BUCKET = 'leader';
/** Object store of checkpoints that follow a trial to its next box. */
export const CHECKPOINTS_BUCKET = 'checkpoints';
/** Object store of folders of code that sweeps ship to the boxes, by the SHA-256 of the packed folder. */
export const CODE_BUCKET = 'code';
/** Object store of snapshots of the folded ledger: they only save time, and may be removed. */
export const SNAPSHOTS_BUCKET = 'snapshots';

export const LEDGER_SUBJECT = 'wattsweep.v1.ledger';
export const REPORTS_SUBJECTS = 'wattsweep.v1.reports.*';
export const TELEMETRY_SUBJECTS = 'wattsweep.v1.telemetry.*';

const TOKEN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** True for a name that may stand in a subject, a bucket key and a metric label: trainer, sweep and trial ids. */
export const isToken = (name: string): boolean => TOKEN.test(name);

/** Subject on which a trainer publishes `ReportBatch` messages. */
export const reportsSubject = (trainerId: string): string => `wattsweep.v1.reports.${trainerId}`;

/** Subject on which a trainer publishes `TelemetryBatch` messages. */
export const telemetrySubject = (trainerId: string): string => `wattsweep.v1.telemetry.${trainerId}`;

/** A trial's checkpoints in the object store: two of them, so that one is whole while the other is being replaced. */
export interface StoredName {
  readonly ledgerId: string;
  readonly sweepId: string;
  readonly trialId: string;
  /** Id of the term that made the trial; absent where the trainer was told none. */
  readonly trialTermId?: string;
  readonly copy: 0 | 1;
}

const STORED_NAME = /^([A-Za-z0-9][A-Za-z0-9_-]*)\/([a-z0-9-]+)\/([a-z0-9-]+)(?:\.([a-z0-9-]+))?\/([01])$/;

/** Name of a checkpoint in the object store. */
export const storedName = ({ ledgerId, sweepId, trialId, trialTermId, copy }: StoredName): string =>
  `${ledgerId}/${sweepId}/${trialId}${trialTermId === undefined ? '' : `.${trialTermId}`}/${String(copy)}`;

/** The parts of such a name; null for another object's. */
export function parseStoredName(name: string): StoredName | null {
  const [, ledgerId = '', sweepId = '', trialId = '', trialTermId, copy] = STORED_NAME.exec(name) ?? [];
  if (!isToken(sweepId) || !isToken(trialId)) return null;
  const term = trialTermId === undefined ? {} : { trialTermId };
  return { ledgerId, sweepId, trialId, ...term, copy: copy === '0' ? 0 : 1 };
}
