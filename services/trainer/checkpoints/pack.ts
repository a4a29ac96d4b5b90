/**
 * A folder as one stream of bytes, and back. Each entry is a line of JSON with its path, and behind a file's line its
 * content. A folder that changes while it is read gives no stream that anybody would take: the reading fails.
 */
import { createReadStream } from 'node:fs';
import { lstat, mkdir, open, readdir, readlink, symlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, relative, resolve, sep } from 'node:path';

export interface FolderEntry {
  /** Seen from the folder, with `/`. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
  /** Bytes of a file; 0 of others. */
  readonly bytes: number;
  readonly mode: number;
  /** Changes when the entry does. */
  readonly changedMs: number;
  /** Where a link points, seen from its own place. */
  readonly target?: string;
}

/** What a folder holds, in the order of the paths. */
export interface FolderListing {
  readonly entries: readonly FolderEntry[];
  readonly bytes: number;
}

/** The folder changed while it was read, or is gone. */
export class FolderChanged extends Error {}

/** The stream is none that {@link packFolder} has made. */
export class BrokenPack extends Error {}

const LONGEST_LINE = 64 * 1024;
const CHUNK_BYTES = 128 * 1024;

/**
 * Files, folders and links below `root`; sockets and the like are left out, and links that lead out of it: elsewhere they
 * would show something else. @throws FolderChanged
 */
export async function listFolder(root: string): Promise<FolderListing> {
  const entries: FolderEntry[] = [];
  const descend = async (prefix: string): Promise<void> => {
    for (const name of (await readdir(join(root, prefix))).sort()) {
      const path = prefix === '' ? name : `${prefix}/${name}`;
      const stats = await lstat(join(root, path));
      const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'link';
      const target = kind === 'link' && stats.isSymbolicLink() ? await targetInside(root, path) : null;
      if (kind === 'link' && target === null) continue;
      entries.push({
        path,
        kind,
        bytes: kind === 'file' ? stats.size : 0,
        mode: stats.mode & 0o777,
        changedMs: kind === 'folder' ? 0 : stats.ctimeMs,
        ...(target === null ? {} : { target }),
      });
      if (kind === 'folder') await descend(path);
    }
  };
  try {
    await descend('');
  } catch (error) {
    throw new FolderChanged(String(error), { cause: error });
  }
  return { entries, bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Where the link at `path` points, seen from its place; null when that is not below `root`. */
async function targetInside(root: string, path: string): Promise<string | null> {
  const written = await readlink(join(root, path));
  const holder = join(resolve(root), dirname(path));
  const target = isAbsolute(written) ? relative(holder, written) : written;
  return isInside(join(path, '..', target)) ? target : null;
}

/** The folder, as `listing` has it. @throws FolderChanged when it is another one by then */
export async function* packFolder(
  root: string,
  listing: FolderListing,
  list: (root: string) => Promise<FolderListing> = listFolder,
): AsyncGenerator<Buffer> {
  for (const { path, kind, bytes, mode, target } of listing.entries) {
    yield Buffer.from(`${JSON.stringify({ path, kind, bytes, mode, target })}\n`);
    if (kind !== 'file') continue;
    let read = 0;
    try {
      for await (const chunk of createReadStream(join(root, path), { highWaterMark: CHUNK_BYTES })) {
        read += (chunk as Buffer).length;
        if (read > bytes) break;
        yield chunk as Buffer;
      }
    } catch (error) {
      throw new FolderChanged(String(error), { cause: error });
    }
    if (read !== bytes) throw new FolderChanged(`${path} has another size by now`);
  }
  const now = await list(root);
  if (JSON.stringify(now.entries) !== JSON.stringify(listing.entries))
    throw new FolderChanged('something was written meanwhile');
}

/**
 * Writes what {@link packFolder} gave into `root`, which must not be there yet; with `readOnly`, nobody may write into the
 * files. @throws BrokenPack, errors of the disk
 */
export async function unpackFolder(
  root: string,
  chunks: AsyncIterable<Uint8Array>,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): Promise<void> {
  await mkdir(root);
  const source = new ByteSource(chunks[Symbol.asyncIterator]());
  const links = new Set<string>();
  for (let line = await source.line(); line !== null; line = await source.line()) {
    const entry = parseEntry(line);
    // Through a link one would get anywhere: what its text says counts from another place then.
    for (let above = dirname(entry.path); above !== '.'; above = dirname(above))
      if (links.has(above)) throw new BrokenPack(`${entry.path} lies behind the link ${above}`);
    const path = join(root, entry.path);
    if (entry.kind === 'folder') await mkdir(path, { mode: entry.mode | 0o700 });
    else if (entry.kind === 'link') {
      links.add(entry.path);
      await symlink(entry.target ?? '', path);
    } else {
      const file = await open(path, 'wx', entry.mode | 0o600);
      try {
        for await (const part of source.bytes(entry.bytes)) await file.writeFile(part);
        if (readOnly) await file.chmod(entry.mode & 0o555);
        await file.sync();
      } finally {
        await file.close();
      }
    }
  }
}

function parseEntry(line: string): Pick<FolderEntry, 'path' | 'kind' | 'bytes' | 'mode' | 'target'> {
  let entry: Partial<FolderEntry>;
  try {
    entry = JSON.parse(line) as Partial<FolderEntry>;
  } catch {
    throw new BrokenPack('an entry is no JSON');
  }
  const { path, kind, bytes = 0, mode = 0o644, target } = entry;
  if (typeof path !== 'string' || !isInside(path))
    throw new BrokenPack('an entry lies outside of the folder');
  if (kind !== 'file' && kind !== 'folder' && kind !== 'link')
    throw new BrokenPack('an entry is of no known kind');
  if (kind === 'link' && (target === undefined || isAbsolute(target) || !isInside(join(path, '..', target))))
    throw new BrokenPack(`the link ${path} points out of the folder`);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new BrokenPack(`${path} has no size`);
  return {
    path: normalize(path),
    kind,
    bytes,
    mode: mode & 0o777,
    ...(target === undefined ? {} : { target }),
  };
}

function isInside(path: string): boolean {
  const plain = normalize(path);
  return plain !== '.' && !plain.startsWith('..') && !plain.startsWith(sep) && !plain.includes('\0');
}

/** Lines and counted bytes of a stream. */
class ByteSource {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly chunks: AsyncIterator<Uint8Array>) {}

  async #more(): Promise<boolean> {
    const next = await this.chunks.next();
    if (next.done === true) return false;
    this.#rest = this.#rest.length === 0 ? Buffer.from(next.value) : Buffer.concat([this.#rest, next.value]);
    return true;
  }

  /** Null at the end. */
  async line(): Promise<string | null> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        const line = this.#rest.toString('utf8', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      if (this.#rest.length > LONGEST_LINE) throw new BrokenPack('an entry has no end');
      if (await this.#more()) continue;
      if (this.#rest.length > 0) throw new BrokenPack('it ends in the middle of an entry');
      return null;
    }
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new BrokenPack('it ends in the middle of a file');
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }
}
