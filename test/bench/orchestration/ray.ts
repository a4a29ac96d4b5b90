/** Ray Tune as the peer: its own environment in the cache, a process a run, and nothing of it left behind. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonWith } from '../oracles/python.js';
import { Marked } from './marked.js';

export const RAY = 'ray[tune]==2.60.0';

/** What one run of either took, warm. */
export interface Taken {
  readonly seconds: number;
  readonly trials: number;
  readonly reports: number;
}

export interface RayPart {
  /** `class`: kept actors; `function`: a process a trial. */
  readonly kind: 'class' | 'function';
  readonly trials: number;
  /** Reports of a trial, and seconds of work before each. */
  readonly reports: number;
  readonly seconds: number;
  /** Results that an actor may collect before Ray looks at them (`TUNE_RESULT_BUFFER_LENGTH`); 1 is Ray's default. */
  readonly buffer: number;
}

const SCRIPT = fileURLToPath(new URL('ray_tune.py', import.meta.url));
const LAST_WORDS = 2_000;

/** @throws when it fails, or does not end in time */
export async function runRay(part: RayPart, withinMs: number): Promise<Taken> {
  const python = await pythonWith([RAY]);
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-ray-'));
  const marked = new Marked();
  const args = [part.kind, part.trials, part.reports, part.seconds, folder].map(String);
  const child = spawn(python, [SCRIPT, ...args], {
    env: { ...process.env, ...marked.environment, TUNE_RESULT_BUFFER_LENGTH: String(part.buffer) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
  try {
    const [output, errors] = await new Promise<readonly [string, string]>((resolve) => {
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (err = (err + chunk.toString()).slice(-LAST_WORDS)));
      // Its daemons may hold the pipes open.
      child.once('exit', () => setTimeout(() => resolve([out, err]), 200));
    });
    const result = /^RESULT (.*)$/m.exec(output)?.[1];
    if (result === undefined) throw new Error(`Ray gave no result in time: ${errors}`);
    return JSON.parse(result) as Taken;
  } finally {
    clearTimeout(timer);
    await marked.killAll();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
