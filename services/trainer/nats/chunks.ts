/** Reads an object out of an object store of NATS: its chunks, in order, with a check at the end. */
import { createHash } from 'node:crypto';
import type { ConsumerMessages, JetStreamClient } from 'nats';

export interface ChunkSource {
  readonly jetstream: JetStreamClient;
  /** Fails what is under way when the connection breaks. */
  readonly answered: <T>(request: Promise<T>) => Promise<T>;
  readonly stream: string;
  readonly subject: string;
  readonly bytes: number;
  readonly chunks: number;
  /** `SHA-256=` and base64url of the content. */
  readonly digest: string;
}

const SILENCE_MS = 15_000;
const PULL_BYTES = 4 * 1024 * 1024;

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');

/** As object stores name things: base64 of the URL's alphabet, with padding. */
export const encodeName = (name: string): string => base64(Buffer.from(name));
export const digestText = (digest: Buffer): string => `SHA-256=${base64(digest)}`;

/** The content; fails at its end when it differs from what was written. Errors: those of the client, too. */
export async function* readChunks(source: ChunkSource, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { jetstream, answered, stream, subject, digest } = source;
  const hash = createHash('sha256');
  let left = source.chunks;
  let bytes = 0;
  let messages: ConsumerMessages | null = null;
  const stop = (): void => void messages?.close();
  const silence = setTimeout(stop, SILENCE_MS);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const consumer = await answered(jetstream.consumers.get(stream, { filterSubjects: subject }));
    messages = await answered(consumer.consume({ max_bytes: PULL_BYTES }));
    if (left > 0 && !signal.aborted)
      for await (const { data } of messages) {
        silence.refresh();
        hash.update(data);
        bytes += data.length;
        yield data;
        left -= 1;
        if (left === 0 || bytes > source.bytes) break;
      }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', stop);
    messages?.close().catch(() => undefined);
  }
  signal.throwIfAborted();
  if (left > 0 || bytes !== source.bytes || digestText(hash.digest()) !== digest)
    throw new Error('a part of it is missing, or differs from what was written');
}
