/** What the API needs of a coordinator that leads. */
import type { Input, LedgerEvent, State } from '../core/index.js';

export interface Leader {
  /** Read only; changes at each input. */
  readonly state: State;
  /** Resolves when everything decided so far is in the ledger. @throws DEPOSED */
  acknowledged(): Promise<void>;
  /** Resolves when what the inputs gave rise to is in the ledger. @throws DEPOSED */
  offer(inputs: readonly Input[]): Promise<void>;
  /** Every event that is in the ledger now, in order. @throws LEDGER_UNREADABLE, LEDGER_VERSION, NATS_UNREACHABLE */
  history(): AsyncIterable<LedgerEvent>;
  /** Told of events once they are in the ledger; `ended` once the term is over. Returns the function that ends it. */
  subscribe(subscriber: Subscriber): () => void;
}

export interface Subscriber {
  committed(events: readonly LedgerEvent[]): void;
  ended(): void;
}

/** The term under way. @throws NOT_LEADER */
export type GetLeader = () => Promise<Leader>;
