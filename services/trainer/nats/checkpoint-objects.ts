/**
 * The object store of checkpoints, as the NATS tools write and read it (ADR-20 of nats-architecture-and-design). Each
 * trial has two objects there; the chunks of one lie under a subject of its own name, so that a write that was cut short
 * leaves nothing behind that nobody can name.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { headers, JsHeaders, NatsError, type JetStreamClient, type JetStreamManager } from 'nats';
import { CHECKPOINTS_BUCKET, parseStoredName, storedName, type StoredName } from '../../../proto/subjects.js';
import { digestText, encodeName, readChunks } from './chunks.js';

/** What is known of a checkpoint in the store. */
export interface StoredCheckpoint {
  readonly name: StoredName;
  readonly attempt: number;
  readonly epoch: number;
  /** Name of its folder among the trial's checkpoints; empty when it is the whole of them. */
  readonly folder: string;
  readonly bytes: number;
  readonly chunks: number;
  readonly digest: string;
}

export type TrialName = Omit<StoredName, 'copy'>;

const STREAM = `OBJ_${CHECKPOINTS_BUCKET}`;
const CHUNK_BYTES = 128 * 1024;
/** Chunks under way; reports find room between them. */
const MAX_FLYING = 2;
/** Training and reports come first: no more bytes a second than this, of all slots together. */
const BYTES_PER_SECOND = 32 * 1024 * 1024;
const TIMEOUT_MS = 10_000;
/** No such message, or no such stream: a coordinator of before made none. */
const NOTHING_THERE: ReadonlySet<number> = new Set([10037, 10059]);

export class CheckpointObjects {
  constructor(
    private readonly jetstream: JetStreamClient,
    private readonly manager: JetStreamManager,
    /** Fails what is under way when the connection breaks. */
    private readonly answered: <T>(request: Promise<T>) => Promise<T>,
  ) {}

  /** Bytes of all checkpoints together. Errors: those of the client. */
  async totalBytes(): Promise<number> {
    return (await this.answered(this.manager.streams.info(STREAM))).state.bytes;
  }

  /** The trial's checkpoints that are whole, the newest first. Errors: those of the client. */
  async find(trial: TrialName): Promise<readonly StoredCheckpoint[]> {
    const found: StoredCheckpoint[] = [];
    for (const copy of [0, 1] as const) {
      const info = await this.#info({ ...trial, copy });
      if (info !== null) found.push(info);
    }
    return found.sort((a, b) => b.attempt - a.attempt || b.epoch - a.epoch);
  }

  async #info(name: StoredName): Promise<StoredCheckpoint | null> {
    try {
      const subject = subjectOf('M', name);
      const { data } = await this.answered(
        this.manager.streams.getMessage(STREAM, { last_by_subj: subject }),
      );
      return parseInfo(name, Buffer.from(data).toString('utf8'));
    } catch (error) {
      if (error instanceof NatsError && NOTHING_THERE.has(error.api_error?.err_code ?? 0)) return null;
      throw error;
    }
  }

  /** Replaces one of the trial's objects. Errors: those of the client and of `content`; then the object is gone. */
  async write(
    about: Pick<StoredCheckpoint, 'name' | 'attempt' | 'epoch' | 'folder'>,
    content: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = about;
    for (const kind of ['M', 'C'] as const)
      await this.answered(this.manager.streams.purge(STREAM, { filter: subjectOf(kind, name) }));
    const hash = createHash('sha256');
    const flying = new Set<Promise<void>>();
    const failures: unknown[] = [];
    let bytes = 0;
    let chunks = 0;
    const beganMs = performance.now();
    const send = async (chunk: Buffer): Promise<void> => {
      hash.update(chunk);
      bytes += chunk.length;
      chunks += 1;
      const sent: Promise<void> = this.#publish(subjectOf('C', name), chunk)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => flying.delete(sent));
      flying.add(sent);
      if (flying.size >= MAX_FLYING) await Promise.race(flying);
      const aheadMs = (bytes / BYTES_PER_SECOND) * 1000 - (performance.now() - beganMs);
      if (aheadMs > 1) await sleep(aheadMs);
    };
    for await (const chunk of inChunks(content)) {
      signal.throwIfAborted();
      if (failures.length > 0) break;
      await send(chunk);
    }
    await Promise.all(flying);
    if (failures.length > 0) throw failures[0];
    const info = {
      name: storedName(name),
      description: '',
      options: { max_chunk_size: CHUNK_BYTES },
      metadata: { attempt: String(about.attempt), epoch: String(about.epoch), folder: about.folder },
      bucket: CHECKPOINTS_BUCKET,
      nuid: encodeName(storedName(name)),
      size: bytes,
      chunks,
      mtime: new Date().toISOString(),
      digest: digestText(hash.digest()),
      deleted: false,
    };
    await this.#publish(subjectOf('M', name), Buffer.from(JSON.stringify(info)), true);
  }

  /** The content; fails at its end when it differs from what was written. Errors: those of the client, too. */
  read({ name, bytes, chunks, digest }: StoredCheckpoint, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { jetstream, answered } = this;
    const subject = subjectOf('C', name);
    return readChunks({ jetstream, answered, stream: STREAM, subject, bytes, chunks, digest }, signal);
  }

  async #publish(subject: string, data: Uint8Array, replaces = false): Promise<void> {
    const rollup = headers();
    if (replaces) rollup.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
    await this.answered(
      this.jetstream.publish(subject, data, {
        timeout: TIMEOUT_MS,
        ...(replaces ? { headers: rollup } : {}),
      }),
    );
  }
}

const subjectOf = (kind: 'C' | 'M', name: StoredName): string =>
  `$O.${CHECKPOINTS_BUCKET}.${kind}.${encodeName(storedName(name))}`;

function parseInfo(name: StoredName, text: string): StoredCheckpoint | null {
  try {
    const info = JSON.parse(text) as Record<string, unknown>;
    const { attempt, epoch, folder } = info['metadata'] as Record<string, string>;
    const { size: bytes, chunks, digest } = info;
    if (typeof bytes !== 'number' || typeof chunks !== 'number' || typeof digest !== 'string') return null;
    if (info['deleted'] === true || parseStoredName(String(info['name'])) === null) return null;
    const numbers = [Number(attempt), Number(epoch), bytes, chunks];
    if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) return null;
    return {
      name,
      attempt: Number(attempt),
      epoch: Number(epoch),
      folder: folder ?? '',
      bytes,
      chunks,
      digest,
    };
  } catch {
    return null;
  }
}

/** The same bytes in pieces of one size. */
async function* inChunks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of content)
    for (let at = 0; at < part.length;) {
      const piece = part.subarray(at, at + CHUNK_BYTES - bytes);
      parts.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes < CHUNK_BYTES) continue;
      yield Buffer.concat(parts);
      parts = [];
      bytes = 0;
    }
  if (bytes > 0) yield Buffer.concat(parts);
}
