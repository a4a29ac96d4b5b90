/**
 * An object store: large pieces of bytes with a few facts, in chunks. As the NATS tools write and read them (ADR-20 of
 * nats-architecture-and-design), but without the client's own `views.os`: that one hashes in JavaScript, 10 ms of event
 * loop a megabyte, and sends a whole object at once, so that an append to the ledger would wait behind it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { headers, JsHeaders } from 'nats';
import { consumption } from './consumption.js';
import { natsErrorCode, unreachable } from './failure.js';
import type { NatsLink } from './link.js';

export interface StoredObject {
  readonly name: string;
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  /** `SHA-256=` and base64url of the content. */
  readonly digest: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** When it was written, ISO 8601. */
  readonly mtime?: string;
}

/** An object that is being written; it exists once `finish` has returned. */
export interface ObjectSink {
  /** Waits while several chunks are under way. @throws NATS_UNREACHABLE */
  write(chunk: Uint8Array): Promise<void>;
  /** @throws NATS_UNREACHABLE */
  finish(name: string, metadata: Readonly<Record<string, string>>): Promise<void>;
  /** Removes what was written. @throws NATS_UNREACHABLE */
  abandon(): Promise<void>;
}

/** Chunks under way; between two of them there is room for an append to the ledger. */
const MAX_FLYING = 4;
const TIMEOUT_MS = 10_000;
const SILENCE_MS = 15_000;
const PULL_BYTES = 8 * 1024 * 1024;
const HEADER_BYTES = 1_024;
const LARGEST_CHUNK = 256 * 1024;

export class ObjectBucket {
  readonly #link: NatsLink;
  readonly #name: string;

  /** Binds to a store that `ensureStreams` has made. */
  constructor(link: NatsLink, name: string) {
    this.#link = link;
    this.#name = name;
  }

  get maxChunkBytes(): number {
    return Math.min(LARGEST_CHUNK, this.#link.maxPayloadBytes - HEADER_BYTES);
  }

  /** @throws NATS_UNREACHABLE */
  async list(): Promise<readonly StoredObject[]> {
    try {
      const objects: StoredObject[] = [];
      for (const subject of await this.#subjects('M')) {
        const object = await this.#info(subject);
        if (object !== null) objects.push(object);
      }
      return objects;
    } catch (error) {
      throw this.#failed('listed', error);
    }
  }

  /** Whether the object is there with all its chunks. @throws NATS_UNREACHABLE */
  async has(name: string): Promise<boolean> {
    try {
      const object = await this.#info(this.#subject('M', encodeName(name)));
      return object !== null && (await this.#has(object.nuid, object.chunks));
    } catch (error) {
      throw this.#failed('read', error);
    }
  }

  /** Bytes of all objects together. @throws NATS_UNREACHABLE */
  async totalBytes(): Promise<number> {
    try {
      return (await this.#link.answered(this.#link.manager.streams.info(this.#stream))).state.bytes;
    } catch (error) {
      throw this.#failed('read', error);
    }
  }

  /** The content; null when a part of it is missing or differs from what was written. @throws NATS_UNREACHABLE */
  async read({ nuid, size, chunks, digest }: StoredObject): Promise<Uint8Array | null> {
    if (!(await this.#has(nuid, chunks))) return null;
    const content = Buffer.allocUnsafe(size);
    const hash = createHash('sha256');
    let length = 0;
    let left = chunks;
    const stop = new AbortController();
    const silence = setTimeout(() => stop.abort(), SILENCE_MS);
    const from = {
      stream: this.#stream,
      fromSeq: 1,
      subject: this.#subject('C', nuid),
      pullBytes: PULL_BYTES,
    };
    try {
      for await (const { data } of consumption(this.#link, from, stop.signal)) {
        silence.refresh();
        if (length + data.length > size) return null;
        content.set(data, length);
        hash.update(data);
        length += data.length;
        left -= 1;
        if (left === 0) break;
      }
    } catch (error) {
      throw this.#failed('read', error);
    } finally {
      clearTimeout(silence);
    }
    if (left > 0) throw this.#failed('read', new Error('it stopped answering'));
    return length === size && digest === digestText(hash.digest()) ? content : null;
  }

  create(): ObjectSink {
    const nuid = randomBytes(11).toString('hex');
    const hash = createHash('sha256');
    const flying = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | null = null;
    let size = 0;
    let chunks = 0;
    const check = (): void => {
      if (failure !== null) throw this.#failed('written', failure.error);
    };
    return {
      write: async (chunk) => {
        check();
        hash.update(chunk);
        size += chunk.length;
        chunks += 1;
        const sent: Promise<void> = this.#publish(this.#subject('C', nuid), chunk)
          .catch((error: unknown) => {
            failure ??= { error };
          })
          .finally(() => flying.delete(sent));
        flying.add(sent);
        if (flying.size >= MAX_FLYING) await Promise.race(flying);
      },
      finish: async (name, metadata) => {
        await Promise.all(flying);
        check();
        const info = {
          name,
          description: '',
          options: { max_chunk_size: this.maxChunkBytes },
          metadata,
          bucket: this.#name,
          nuid,
          size,
          chunks,
          mtime: new Date().toISOString(),
          digest: digestText(hash.digest()),
          deleted: false,
        };
        try {
          await this.#publish(this.#subject('M', encodeName(name)), Buffer.from(JSON.stringify(info)), true);
        } catch (error) {
          throw this.#failed('written', error);
        }
      },
      abandon: () => this.#purge(this.#subject('C', nuid)),
    };
  }

  /**
   * Removes the other objects, and chunks of writers that died.
   * @param isKept asked of each object when its turn has come
   * @param writtenBeforeMs milliseconds since 1970; what was written since stays, so that what is under way does.
   * @default Infinity: there is no other writer
   * @returns how many objects are gone @throws NATS_UNREACHABLE
   */
  async keepOnly(isKept: (object: StoredObject) => boolean, writtenBeforeMs = Infinity): Promise<number> {
    const objectOf = new Map<string, StoredObject>();
    for (const object of await this.list())
      for (const [kind, last] of [
        ['M', encodeName(object.name)],
        ['C', object.nuid],
      ] as const)
        objectOf.set(this.#subject(kind, last), object);
    const stays = async (subject: string): Promise<boolean> => {
      const object = objectOf.get(subject);
      if (object !== undefined && isKept(object)) return true;
      if (writtenBeforeMs === Infinity) return false;
      const writtenMs =
        object === undefined ? await this.#writtenMs(subject) : Date.parse(object.mtime ?? '');
      return writtenMs >= writtenBeforeMs;
    };
    let gone = 0;
    for (const kind of ['M', 'C'] as const)
      for (const subject of await this.#subjects(kind)) {
        if (await stays(subject)) continue;
        await this.#purge(subject);
        if (kind === 'M') gone += 1;
      }
    return gone;
  }

  get #stream(): string {
    return `OBJ_${this.#name}`;
  }

  #subject(kind: 'C' | 'M', last: string): string {
    return `$O.${this.#name}.${kind}.${last}`;
  }

  /** Subjects that have messages, with the number of these. */
  async #counts(filter: string): Promise<Readonly<Record<string, number>>> {
    const { manager } = this.#link;
    const info = await this.#link.answered(manager.streams.info(this.#stream, { subjects_filter: filter }));
    return info.state.subjects ?? {};
  }

  async #subjects(kind: 'C' | 'M'): Promise<readonly string[]> {
    return Object.keys(await this.#counts(this.#subject(kind, '>')));
  }

  async #has(nuid: string, chunks: number): Promise<boolean> {
    const subject = this.#subject('C', nuid);
    try {
      return chunks > 0 && (await this.#counts(subject))[subject] === chunks;
    } catch (error) {
      throw this.#failed('read', error);
    }
  }

  /** Null for what is no object, or is one no more. */
  async #info(subject: string): Promise<StoredObject | null> {
    try {
      const { manager } = this.#link;
      const { data } = await this.#link.answered(
        manager.streams.getMessage(this.#stream, { last_by_subj: subject }),
      );
      const info: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
      return isObject(info) ? info : null;
    } catch (error) {
      if (error instanceof SyntaxError || natsErrorCode(error) === 'no_message') return null;
      throw error;
    }
  }

  /** When the last message of the subject was stored, by the server's clock. */
  async #writtenMs(subject: string): Promise<number> {
    try {
      const { manager } = this.#link;
      const last = manager.streams.getMessage(this.#stream, { last_by_subj: subject });
      return (await this.#link.answered(last)).time.getTime();
    } catch (error) {
      throw this.#failed('read', error);
    }
  }

  async #publish(subject: string, data: Uint8Array, replaces = false): Promise<void> {
    const rollup = headers();
    if (replaces) rollup.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
    await this.#link.answered(
      this.#link.jetstream.publish(subject, data, {
        timeout: TIMEOUT_MS,
        ...(replaces ? { headers: rollup } : {}),
      }),
    );
  }

  async #purge(filter: string): Promise<void> {
    try {
      await this.#link.answered(this.#link.manager.streams.purge(this.#stream, { filter }));
    } catch (error) {
      throw this.#failed('cleared', error);
    }
  }

  #failed(what: string, error: unknown): Error {
    return unreachable(`the object store ${this.#name} could not be ${what}`, error);
  }
}

/** Base64 as ADR-20 has it: of the URL's alphabet, with padding. */
const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');

const encodeName = (name: string): string => base64(Buffer.from(name));
const digestText = (digest: Buffer): string => `SHA-256=${base64(digest)}`;

function isObject(value: unknown): value is StoredObject {
  if (typeof value !== 'object' || value === null) return false;
  const { name, nuid, size, chunks, digest, metadata, deleted } = value as Record<string, unknown>;
  return (
    typeof name === 'string' &&
    typeof nuid === 'string' &&
    Number.isSafeInteger(size) &&
    Number.isSafeInteger(chunks) &&
    typeof digest === 'string' &&
    deleted !== true &&
    typeof metadata === 'object' &&
    metadata !== null
  );
}
