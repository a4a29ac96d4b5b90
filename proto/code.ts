/** Bounds of the folder of code that a sweep ships: known to who packs it and to who takes it. */

/** Of all files together, packed. */
export const MOST_CODE_BYTES = 64 * 1024 * 1024;
/** Files, folders and links. */
export const MOST_CODE_ENTRIES = 10_000;
/** Of the diff to the commit that is recorded with a sweep, as JSON. */
export const MOST_DIFF_BYTES = 16 * 1024;
/** Of a piece that is sent to the coordinator. */
export const CODE_PIECE_BYTES = 256 * 1024;

const SHA256 = /^[0-9a-f]{64}$/;

/** True for what names a packed folder. */
export const isCodeHash = (text: string): boolean => SHA256.test(text);
