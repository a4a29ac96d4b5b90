/**
 * A Python with real Keras, for the comparisons with it: a virtual environment in the cache folder, made by pip from
 * `requirements.txt` when it is first wanted. Nothing but these comparisons needs it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheHome } from '../../setup/locate.mjs';

const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));

/**
 * The environment's interpreter.
 *
 * @throws Error when there is no Python 3 (`WATTSWEEP_PYTHON` names one) or pip cannot install.
 */
export function kerasPython(): string {
  const key = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(cacheHome(), 'keras', key);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  console.error('installing TensorFlow and Keras for Python (1.6 GB on disk)');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  runPython(process.env['WATTSWEEP_PYTHON'] ?? 'python3', ['-m', 'venv', folder]);
  runPython(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '-r', requirements]);
  writeFileSync(complete, '');
  return python;
}

/** Runs Python to its end, its output with ours. @throws Error when it fails. */
export function runPython(python: string, args: readonly string[]): void {
  const { status, error } = spawnSync(python, ['-B', ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw error ?? new Error(`${python} ${args.join(' ')} ended with ${status}`);
}
