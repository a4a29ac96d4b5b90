/**
 * Peers and oracles that are Python programs: a virtual environment each in the cache, made when a benchmark first asks
 * for it, and never touched by the product.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheHome } from '../../../setup/locate.mjs';

const run = promisify(execFile);

/**
 * The Python of an environment that holds the packages.
 *
 * @param packages pinned, e.g. `optuna==5.0.0`
 * @throws when there is no python3, or pip cannot install
 */
export async function pythonWith(packages: readonly string[]): Promise<string> {
  const folder = join(cacheHome(), 'bench', packages.join('+').replaceAll('==', '-'));
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  process.stderr.write(`installing ${packages.join(', ')}\n`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  await run('python3', ['-m', 'venv', folder]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
  writeFileSync(complete, '');
  return python;
}

/** A program that answers line by line. */
export interface Peer {
  /** Writes a line of JSON, or none, and reads the next one. @throws when the program ended */
  ask(message?: unknown): Promise<unknown>;
  close(): void;
}

/** @param script a file of this folder */
export function startPeer(python: string, script: string): Peer {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(python, [file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(message) {
      if (message !== undefined) child.stdin.write(`${JSON.stringify(message)}\n`);
      const next = await lines.next();
      if (next.done === true) throw new Error(`${script} ended`);
      return JSON.parse(next.value) as unknown;
    },
    close: () => child.stdin.end(),
  };
}
