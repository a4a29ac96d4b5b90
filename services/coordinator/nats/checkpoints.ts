/** The object store of checkpoints, seen from who tidies it; trainers write and read it. */
import { CHECKPOINTS_BUCKET, parseStoredName, storedName, type StoredName } from '../../../proto/subjects.js';
import { unreachable } from './failure.js';
import type { NatsLink } from './link.js';

const STREAM = `OBJ_${CHECKPOINTS_BUCKET}`;
/** Trainers write no larger chunks. */
const CHUNK_BYTES = 128 * 1024;

export class StoredCheckpoints {
  constructor(private readonly link: NatsLink) {}

  /** All that lies there, also what was not written to its end. @throws NATS_UNREACHABLE */
  async names(): Promise<readonly (StoredName & { readonly mostBytes: number })[]> {
    const { manager } = this.link;
    const info = await this.link
      .answered(manager.streams.info(STREAM, { subjects_filter: '>' }))
      .catch((error: unknown) => {
        throw unreachable(`the stream ${STREAM} does not answer`, error);
      });
    const names = new Map<string, StoredName & { readonly mostBytes: number }>();
    for (const [subject, messages] of Object.entries(info.state.subjects ?? {})) {
      const encoded = subject.slice(subject.lastIndexOf('.') + 1);
      const text = Buffer.from(encoded, 'base64url').toString('utf8');
      const name = parseStoredName(text);
      const mostBytes = (names.get(text)?.mostBytes ?? 0) + messages * CHUNK_BYTES;
      if (name !== null) names.set(text, { ...name, mostBytes });
    }
    return [...names.values()];
  }

  /** @throws NATS_UNREACHABLE */
  async remove(name: StoredName): Promise<void> {
    const encoded = Buffer.from(storedName(name))
      .toString('base64')
      .replaceAll('+', '-')
      .replaceAll('/', '_');
    for (const kind of ['M', 'C'])
      await this.link
        .answered(
          this.link.manager.streams.purge(STREAM, { filter: `$O.${CHECKPOINTS_BUCKET}.${kind}.${encoded}` }),
        )
        .catch((error: unknown) => {
          throw unreachable(`the stream ${STREAM} could not be tidied`, error);
        });
  }
}
