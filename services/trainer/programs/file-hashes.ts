/** SHA-256 of files, computed once while a file stays the same: data sets are large, and every attempt asks. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

const MOST_KNOWN = 1_000;

export class FileHashes {
  readonly #known = new Map<string, { readonly state: string; readonly hash: string }>();
  readonly #underWay = new Map<string, Promise<string>>();

  /** Hexadecimal. Errors: those of the file system; also when it changes while it is read, or `signal` aborts. */
  async of(path: string, signal: AbortSignal): Promise<string> {
    const state = await stateOf(path);
    const known = this.#known.get(path);
    if (known?.state === state) return known.hash;
    const key = `${state} ${path}`;
    const underWay = this.#underWay.get(key) ?? this.#begin(key, path, state);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(signal.reason as Error);
      if (signal.aborted) giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      underWay.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
    });
  }

  #begin(key: string, path: string, state: string): Promise<string> {
    const reading = read(path)
      .then(async (hash) => {
        if ((await stateOf(path)) !== state) throw new Error('it changed while it was read');
        if (this.#known.size >= MOST_KNOWN) this.#known.clear();
        this.#known.set(path, { state, hash });
        return hash;
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, reading);
    return reading;
  }
}

async function read(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Changes when the content does. */
async function stateOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
