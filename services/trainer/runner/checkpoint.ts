/**
 * Checkpoints: a folder with a described, checksummed file of float32 vectors. A new one is complete before it gets its
 * name, and only then do older ones go: whenever the process dies, a whole one is there.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { WattsweepError } from '../../../proto/errors.js';

const HEADER = 'checkpoint.json';
const CONTENT = 'state.bin';
const NAME = /^epoch-(\d+)-step-(\d+)$/;
/** The last one, and the one before: a trial may have to go on from the last epoch that was heard of elsewhere. */
const KEPT = 2;
/** Folder of the checkpoint after the trial's best epoch, beside the others. A trial does not go on from it. */
export const BEST = 'best';

const trained = z.object({
  recipe: z.string(),
  /** As the sweep file gave them. */
  parameters: z.record(z.string(), z.unknown()),
  maxEpochs: z.number().int().positive(),
});

const header = z.object({
  format: z.literal('wattsweep-checkpoint'),
  version: z.literal(1),
  /** What was trained, e.g. `resnet-cifar10/56`: state fits only this. */
  network: z.string(),
  /** Completed epochs. */
  epoch: z.number().int().nonnegative(),
  /** Optimizer steps since the trial's first. */
  step: z.number().int().nonnegative(),
  /** What the recipe adds, e.g. sums of a half-done epoch. */
  progress: z.record(z.string(), z.number()),
  vectors: z.array(z.object({ name: z.string(), length: z.number().int().nonnegative() })),
  /** What the vectors are of, for those who take the trained network away; and what more they need, after the vectors. */
  trained: trained.optional(),
  extras: z.array(z.object({ name: z.string(), length: z.number().int().nonnegative() })).optional(),
  /** SHA-256 of the content file, in hexadecimal. */
  sha256: z.string(),
});

export interface Checkpoint {
  readonly network: string;
  readonly epoch: number;
  readonly step: number;
  readonly progress: Readonly<Record<string, number>>;
  readonly vectors: Readonly<Record<string, Float32Array>>;
  readonly trained?: z.infer<typeof trained> | undefined;
  readonly extras?: Readonly<Record<string, Float32Array>> | undefined;
}

/**
 * Writes a checkpoint into `folder` and removes older ones there, but for the one before and {@link BEST}. Those ahead of it
 * stay until they are reached.
 *
 * @param isBest Whether it is the trial's best so far, and becomes {@link BEST}, too.
 *
 * @returns The path of the new checkpoint.
 */
export function writeCheckpoint(folder: string, checkpoint: Checkpoint, isBest = false): string {
  const { network, epoch, step, progress, vectors, trained: of, extras = {} } = checkpoint;
  const name = `epoch-${String(epoch).padStart(4, '0')}-step-${String(step).padStart(8, '0')}`;
  const path = join(folder, name);
  const unfinished = join(folder, `.${name}.unfinished`);
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder)) {
    if (entry.endsWith('.unfinished')) rmSync(join(folder, entry), { recursive: true, force: true });
  }
  mkdirSync(unfinished);
  const parts = [...Object.values(vectors), ...Object.values(extras)].map(bytesOf);
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const description: z.infer<typeof header> = {
    format: 'wattsweep-checkpoint',
    version: 1,
    network,
    epoch,
    step,
    progress: { ...progress },
    vectors: listed(vectors),
    ...(of === undefined ? {} : { trained: of, extras: listed(extras) }),
    sha256: hash.digest('hex'),
  };
  writeDurably(join(unfinished, CONTENT), parts);
  writeDurably(join(unfinished, HEADER), [Buffer.from(`${JSON.stringify(description, undefined, 2)}\n`)]);
  rmSync(path, { recursive: true, force: true });
  renameSync(unfinished, path);
  if (isBest) linkAsBest(folder, path);
  syncFolder(folder);
  const present = checkpointsIn(folder);
  // Those ahead are damaged, or of an attempt that went further than the ledger heard of: they are no reserve of this one.
  for (const old of present.slice(0, Math.max(0, present.indexOf(name) + 1 - KEPT)))
    rmSync(join(folder, old), { recursive: true, force: true });
  return path;
}

const listed = (vectors: Checkpoint['vectors']): { name: string; length: number }[] =>
  Object.entries(vectors).map(([name, { length }]) => ({ name, length }));

/** The same files under another name: where the file system has links, they take no room until their checkpoint goes. */
function linkAsBest(folder: string, path: string): void {
  const unfinished = join(folder, `.${BEST}.unfinished`);
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  for (const file of [CONTENT, HEADER]) linkOrCopy(join(path, file), join(unfinished, file));
  rmSync(join(folder, BEST), { recursive: true, force: true });
  renameSync(unfinished, join(folder, BEST));
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** What the caller can take: the network, and the lengths of its vectors. */
export interface Expected {
  readonly network: string;
  readonly vectors: Readonly<Record<string, number>>;
}

/**
 * Reads the checkpoint `path`, or the newest one in the folder `path`. When that is damaged or gone: the next best that
 * lies beside it and holds no later epoch, for what comes later the ledger may not have.
 *
 * @param onDamaged Hears of each that cannot be read, in a sentence.
 * @returns null when none can be read.
 * @throws WattsweepError CHECKPOINT_INVALID: of another version, network or shape.
 */
export function readCheckpoint(
  path: string,
  expected: Expected,
  onDamaged: (problem: string) => void,
): Checkpoint | null {
  for (const folder of candidates(path)) {
    try {
      return readOne(folder, expected);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      onDamaged(`checkpoint ${folder} cannot be read: ${error.message}`);
    }
  }
  return null;
}

/** The content cannot be trusted; that of another checkpoint may be. */
class Damaged extends Error {}

/** Errors of the file system that tell of the file, not of the moment. */
const DAMAGE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EIO', 'EBADMSG', 'EUCLEAN']);

export const isCheckpoint = (folder: string): boolean => existsSync(join(folder, HEADER));

/** The one in `folder` that went furthest, or null. */
export function newestCheckpoint(folder: string): string | null {
  const newest = checkpointsIn(folder).at(-1);
  return newest === undefined ? null : join(folder, newest);
}

/**
 * The checkpoint in `folder`, whatever it is of.
 *
 * @throws WattsweepError CHECKPOINT_INVALID: damaged, or of another version.
 */
export function readAnyCheckpoint(folder: string): Checkpoint {
  try {
    return readOne(folder, null);
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    throw new WattsweepError('CHECKPOINT_INVALID', `checkpoint ${folder} cannot be read: ${error.message}`);
  }
}

/** @param expected Null: anything. */
function readOne(folder: string, expected: Expected | null): Checkpoint {
  const invalid = (problem: string): never => {
    throw new WattsweepError('CHECKPOINT_INVALID', `checkpoint ${folder}: ${problem}`);
  };
  const text = readFile(join(folder, HEADER)).toString('utf8');
  const described = parseHeader(text);
  if (described === 'other version') return invalid('it is of another version');
  const content = readFile(join(folder, CONTENT));
  const { network, epoch, step, progress, vectors: list, sha256, trained: of } = described;
  if (createHash('sha256').update(content).digest('hex') !== sha256)
    throw new Damaged('its content does not match its checksum');
  if (expected !== null && network !== expected.network)
    invalid(`it is of ${network}, not of ${expected.network}`);
  let offset = 0;
  const take = (wanted: typeof list): Record<string, Float32Array> =>
    Object.fromEntries(
      wanted.map(({ name, length }) => {
        const begin = offset;
        offset += length * Float32Array.BYTES_PER_ELEMENT;
        // A copy: the file's buffer may lie at any address, a Float32Array may not.
        return [name, new Float32Array(Uint8Array.from(content.subarray(begin, offset)).buffer)];
      }),
    );
  const vectors = take(list);
  const extras = take(described.extras ?? []);
  const lengths = (of: Readonly<Record<string, number>>): string =>
    JSON.stringify(Object.entries(of).toSorted());
  const found = Object.fromEntries(listed(vectors).map(({ name, length }) => [name, length]));
  if (expected !== null && lengths(expected.vectors) !== lengths(found))
    invalid('its vectors are those of another network or optimizer');
  return { network, epoch, step, progress, vectors, ...(of === undefined ? {} : { trained: of, extras }) };
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (DAMAGE.has(code)) throw new Damaged(message);
    throw error;
  }
}

function parseHeader(text: string): z.infer<typeof header> | 'other version' {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Damaged('its description is cut short or garbled');
  }
  const parsed = header.safeParse(value);
  if (parsed.success) return parsed.data;
  const { version } = { ...(value as { version?: unknown }) };
  if (typeof version === 'number' && version !== 1) return 'other version';
  throw new Damaged('its description is not that of a checkpoint');
}

/** Names of the complete checkpoints in a folder, oldest first. */
const checkpointsIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((entry) => NAME.test(entry))
        .toSorted()
    : [];

/** The best first. */
function candidates(path: string): readonly string[] {
  const name = basename(path);
  const epochOf = (entry: string): number => Number(NAME.exec(entry)?.[1]);
  if (!NAME.test(name))
    return checkpointsIn(path)
      .toReversed()
      .map((entry) => join(path, entry));
  const folder = dirname(path);
  const others = checkpointsIn(folder).filter((entry) => entry !== name && epochOf(entry) <= epochOf(name));
  return [path, ...others.toReversed().map((entry) => join(folder, entry))];
}

const bytesOf = (vector: Float32Array): Uint8Array =>
  new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);

function writeDurably(path: string, parts: readonly Uint8Array[]): void {
  const file = openSync(path, 'w');
  try {
    for (const part of parts) {
      for (let written = 0; written < part.length;) written += writeSync(file, part, written);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
