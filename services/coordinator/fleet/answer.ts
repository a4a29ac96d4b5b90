import type { ErrorCode } from '../../../proto/errors.js';

/** What became of a call. */
export type Answer<T> =
  | { readonly kind: 'ok'; readonly response: T }
  /** The trainer said no. */
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly retryable: boolean;
      readonly message: string;
      /** Of STALE_TERM: the term that the trainer remembers. */
      readonly knownTerm?: number;
      /** The trainer is of a version that does not know the call. */
      readonly isUnknownCall?: true;
    }
  /** It is not known whether the call arrived. */
  | { readonly kind: 'unreachable'; readonly message: string };
