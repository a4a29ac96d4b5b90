/** The object store of code that sweeps ship, seen from a box: the coordinator writes it. */
import { NatsError, type JetStreamClient, type JetStreamManager } from 'nats';
import { CODE_BUCKET } from '../../../proto/subjects.js';
import { encodeName, readChunks } from './chunks.js';

const STREAM = `OBJ_${CODE_BUCKET}`;
/** No such message, or no such stream: a coordinator of before made none. */
const NOTHING_THERE: ReadonlySet<number> = new Set([10037, 10059]);

export interface StoredCodeFolder {
  /** Fails at its end when it differs from what was written. Errors: those of the client, too. */
  read(): AsyncGenerator<Uint8Array>;
}

export class CodeObjects {
  constructor(
    private readonly jetstream: JetStreamClient,
    private readonly manager: JetStreamManager,
    private readonly answered: <T>(request: Promise<T>) => Promise<T>,
    private readonly closing: AbortSignal,
  ) {}

  /** Null when there is none of that hash. Errors: those of the client. */
  async find(sha256: string): Promise<StoredCodeFolder | null> {
    let text: string;
    try {
      const subject = `$O.${CODE_BUCKET}.M.${encodeName(sha256)}`;
      const request = this.manager.streams.getMessage(STREAM, { last_by_subj: subject });
      text = Buffer.from((await this.answered(request)).data).toString('utf8');
    } catch (error) {
      if (error instanceof NatsError && NOTHING_THERE.has(error.api_error?.err_code ?? 0)) return null;
      throw error;
    }
    const { nuid, size, chunks, digest, deleted } = JSON.parse(text) as Record<string, unknown>;
    if (deleted === true) return null;
    if (typeof nuid !== 'string' || typeof digest !== 'string')
      throw new Error('what NATS says of the code is no object');
    const source = {
      jetstream: this.jetstream,
      answered: this.answered,
      stream: STREAM,
      subject: `$O.${CODE_BUCKET}.C.${nuid}`,
      bytes: Number(size),
      chunks: Number(chunks),
      digest,
    };
    return { read: () => readChunks(source, this.closing) };
  }
}
