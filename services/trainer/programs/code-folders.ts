/** Code that sweeps ship: each folder is fetched from NATS and unpacked once on this box, under the hash of its content. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, utimesSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import { unpackFolder } from '../checkpoints/pack.js';
import type { TrainerLayout } from '../layout.js';
import type { CodeObjects } from '../nats/code-objects.js';

export class CodeFolders {
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(
    private readonly layout: TrainerLayout,
    /** Null while NATS has not been reached. */
    private readonly objects: () => CodeObjects | null,
  ) {}

  /**
   * Resolves when the folder is there; several that ask at once have it fetched once.
   *
   * @throws CODE_MISSING when NATS does not have it; errors of the client and of the disk
   */
  async have(sha256: string): Promise<void> {
    const path = this.layout.codeDir(sha256);
    if (existsSync(path)) {
      // The clean-up removes what was used longest ago.
      utimesSync(path, new Date(), new Date());
      return;
    }
    const underWay =
      this.#underWay.get(sha256) ?? this.#fetch(sha256, path).finally(() => this.#underWay.delete(sha256));
    this.#underWay.set(sha256, underWay);
    await underWay;
  }

  async #fetch(sha256: string, path: string): Promise<void> {
    const objects = this.objects();
    if (objects === null) throw new Error('NATS has not been reached yet');
    const stored = await objects.find(sha256);
    if (stored === null)
      throw new WattsweepError(
        'CODE_MISSING',
        `NATS does not have the code ${sha256.slice(0, 12)} (any more).`,
      );
    for (const dir of [this.layout.fetchedDir, join(path, '..')]) mkdirSync(dir, { recursive: true });
    const half = join(this.layout.fetchedDir, randomUUID());
    const chunks = stored.read();
    const hash = createHash('sha256');
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    }
    try {
      await unpackFolder(half, hashed(), { readOnly: true });
      const found = hash.digest('hex');
      if (found !== sha256) throw new Error(`the code that came has the SHA-256 ${found}, not ${sha256}`);
      await rename(half, path);
    } catch (error) {
      rmSync(half, { recursive: true, force: true });
      throw error;
    }
  }
}
