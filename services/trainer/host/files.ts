/** Files that are either old or new, never half: what the trainer must not forget is written through these. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes `value` as JSON so that it is on the disk, whole, when the promise resolves. Errors: those of the file system. */
export async function writeJsonDurably(path: string, value: unknown, mode = 0o644): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', mode);
  try {
    await file.writeFile(`${JSON.stringify(value)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncToDisk(dirname(path));
}

/** Resolves when the file, or a folder's list of names, is on the disk. Errors: those of the file system. */
export async function syncToDisk(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes `value` as JSON, whole or not at all; a power loss may bring the old content back unless `durable`. */
export function writeJsonSync(
  path: string,
  value: unknown,
  options: { durable?: boolean; mode?: number } = {},
): void {
  const temporary = `${path}.new`;
  const fd = openSync(temporary, 'w', options.mode ?? 0o644);
  try {
    // Unlike writeSync it goes on after a short write, and so finds out that the disk is full.
    writeFileSync(fd, `${JSON.stringify(value)}\n`);
    if (options.durable === true) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** Cuts off what stands behind the last whole line: whoever wrote there was killed, or the disk was full. */
export function dropHalfLine(path: string): void {
  if (!existsSync(path)) return;
  const content = readFileSync(path);
  const whole = content.lastIndexOf(10) + 1;
  if (whole < content.length) truncateSync(path, whole);
}

/** Appends whole lines or nothing, behind the last whole line that stands there. Errors: those of the file system. */
export function appendWhole(path: string, lines: string): void {
  dropHalfLine(path);
  try {
    appendFileSync(path, lines);
  } catch (error) {
    dropHalfLine(path);
    throw error;
  }
}

/** The parsed content, or undefined when there is no such file or it is no JSON. The caller checks the shape. */
export function readJsonSync(path: string): unknown {
  // An error costs more than the look, and most that is asked for in vain is not there.
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
