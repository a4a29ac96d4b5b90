/** A coordinator's life once NATS is there: it waits for the lease, leads for a term, and waits again. */
import { WattsweepError } from '../../../proto/errors.js';
import { systemClock } from '../clock.js';
import type { TrainerCommands } from '../fleet/index.js';
import type { Bucket } from '../nats/index.js';
import { complainOf } from './complain.js';
import { Lease } from './lease.js';
import { Term, type TermOptions } from './term.js';

export interface TurnsOptions {
  readonly leases: Bucket;
  readonly leaseTtlMs: number;
  /** `host:port`, for those who follow. */
  readonly grpcAddress: string;
  readonly term: Omit<TermOptions, 'commands' | 'signal'>;
  /** Called before each term begins. @default nothing */
  readonly prepare?: () => void;
  /** Made anew for each term. */
  readonly newCommands: () => TrainerCommands;
  readonly onLead: (term: Term, tookMs: number) => void;
  readonly onFollow: () => void;
  /** Ends it, the lease given back. */
  readonly signal: AbortSignal;
}

/** @throws LEDGER_UNREADABLE, LEDGER_VERSION, LEDGER_LOST, and faults of our own */
export async function leadInTurns(options: TurnsOptions): Promise<void> {
  const { leases: bucket, leaseTtlMs: ttlMs, grpcAddress, signal } = options;
  const { clock = systemClock, newId, coordinatorId, log } = options.term;
  const onRetry = complainOf('the lease', log, clock);
  let led: { readonly ledgerId: string } | null = null;
  while (!signal.aborted) {
    const self = { holder: newId(), coordinatorId, grpcAddress };
    const lease = await Lease.acquire({ bucket, self, ttlMs, clock, onRetry }, signal);
    if (lease === null) return;
    try {
      const begin = clock.monotonicMs();
      options.prepare?.();
      const term = await Term.begin({
        ...options.term,
        ...(led ?? {}),
        commands: options.newCommands(),
        signal: AbortSignal.any([lease.lost, signal]),
      });
      led = { ledgerId: term.state.ledgerId };
      options.onLead(term, clock.monotonicMs() - begin);
      refuseToGoOn(await term.ended);
    } catch (error) {
      refuseToGoOn(error);
      log.warn({ err: error }, 'could not lead');
    } finally {
      options.onFollow();
      await lease.release();
    }
    // Whoever deposed this one shall find the lease free.
    await clock.sleep(ttlMs / 2, { signal });
  }
}

/** Being deposed or cut off is part of life; a ledger that cannot be read, or a fault of our own, is not. */
function refuseToGoOn(error: unknown): void {
  if (!(error instanceof WattsweepError) || !['DEPOSED', 'NATS_UNREACHABLE'].includes(error.code))
    throw error;
}
