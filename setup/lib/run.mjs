/** Runs another program, keeps the end of what it says, and ends it when we are interrupted. */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { onInterrupt } from './interrupt.mjs';

const KEPT_CHARS = 64_000;

/** @typedef {{code: number, stdout: string, stderr: string, missing: boolean}} Ran */

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, input?: string, onLine?: (line: string) => void, priority?: number}} [options]
 *   `priority`: of the operating system, for the program and all that it starts
 * @returns {Promise<Ran>} `missing`: there is no such program; a signal counts as code 128
 */
export function run(program, args, { cwd, env, input, onLine, priority } = {}) {
  return new Promise((settle) => {
    const child = spawn(program, [...args], {
      cwd,
      env: env ?? process.env,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const done = onInterrupt(() => child.kill('SIGTERM'));
    if (priority !== undefined && child.pid !== undefined) setPriority(child.pid, priority);
    let stdout = '';
    let stderr = '';
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      stdout = (stdout + text).slice(-KEPT_CHARS * 16);
      if (!onLine) return;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(onLine);
    });
    child.stderr?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      stderr = (stderr + text).slice(-KEPT_CHARS);
    });
    child.on('error', (error) => {
      done();
      const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT';
      settle({ code: 127, stdout, stderr: stderr + error.message, missing });
    });
    child.on('close', (code) => {
      done();
      settle({ code: code ?? 128, stdout, stderr, missing: false });
    });
    if (input !== undefined) {
      // A program that ends without reading its input has its say through the exit code.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    }
  });
}

/**
 * Runs a program on our own terminal.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<number>} its exit code
 */
export function runAttached(program, args, { cwd, env } = {}) {
  return new Promise((settle, reject) => {
    const child = spawn(program, [...args], { cwd, env: env ?? process.env, stdio: 'inherit' });
    // The terminal sends Ctrl-C to the child as well; a kill is meant for it too. It decides when to end, we follow.
    const forward = (/** @type {NodeJS.Signals} */ signal) =>
      void (signal === 'SIGINT' || child.kill(signal));
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    for (const signal of signals) process.on(signal, forward);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      settle(code ?? (signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 1));
    });
  });
}

/** @param {Ran} ran */
export const lastWords = (ran) => (ran.stderr.trim() || ran.stdout.trim()).split('\n').slice(-12).join('\n');
