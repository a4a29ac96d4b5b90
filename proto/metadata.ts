/** Names of gRPC metadata that Wattsweep's services and their clients exchange. */

/** Trailer of a failed call: the error's code in `errors.ts`. */
export const CODE_METADATA = 'wattsweep-code';
/** Trailer of a failed call: what to do, in one sentence of ASCII (gRPC allows nothing else). */
export const ADVICE_METADATA = 'wattsweep-advice';
/** Header of every call where a join token is set: `Bearer TOKEN`. */
export const AUTHORIZATION_METADATA = 'authorization';
