/** What the ledger's writer is given, and what it tells. */
import type { WattsweepError } from '../../../proto/errors.js';
import type { Clock } from '../clock.js';
import type { Action, Input, LedgerEvent, Settings } from '../core/index.js';
import type { LedgerLog } from './log.js';
import type { SnapshotOptions } from './snapshot/index.js';

export interface CommitterOptions {
  readonly log: LedgerLog;
  readonly coordinatorId: string;
  /** The ledger that this process has led before: any other one in its place is an error. @default any */
  readonly ledgerId?: string;
  readonly settings: Settings;
  /**
   * Asked before an empty log becomes a new ledger. Gives what shows that there was another, where one is begun all the
   * same; null for nothing. @throws LEDGER_LOST; NATS_UNREACHABLE @default any may be begun
   */
  readonly beginLedger?: () => Promise<string | null>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Fresh random text, for ids of ledgers and appends. */
  readonly newId: () => string;
  /** Leadership ended: nothing more is written. */
  readonly signal: AbortSignal;
  /** Called once, when another coordinator has begun a newer term or the ledger cannot be written any more. */
  readonly onEnd: (error: WattsweepError) => void;
  /** In the ledger now: what happened, and what to do about it. */
  readonly onCommitted: (events: readonly LedgerEvent[], actions: readonly Action[]) => void;
  /** An input that the core could not take, or whose decision no entry can hold: it was left out. */
  readonly onRejected: (input: Input, error: Error) => void;
  /** The log did not answer an append; it is asked again. */
  readonly onRetry: (error: WattsweepError) => void;
  /** Where the folded state is kept, so that a restart need not fold everything. @default nowhere */
  readonly snapshots?: SnapshotOptions;
  /** Counts for /metrics. */
  readonly observer?: CommitterObserver;
  /** @default systemClock */
  readonly clock?: Clock;
}

export interface CommitterObserver {
  decided(input: Input['type']): void;
  /** One append took `seconds` until the log had answered. */
  appended(result: 'accepted' | 'fenced' | 'failed', events: number, seconds: number): void;
}
