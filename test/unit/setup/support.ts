/** A cache of its own and a PATH of fake programs, for one test. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';

const READY = resolve(import.meta.dirname, '../../../setup/ready.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

export class Sandbox {
  readonly home: string;
  readonly bin: string;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'wattsweep-setup-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    this.home = join(folder, 'home');
    this.bin = join(folder, 'bin');
    mkdirSync(this.bin);
    process.env.WATTSWEEP_HOME = this.home;
  }

  /** A shell script that stands for a program; nothing else but `sh`'s own commands is on PATH. */
  program(name: string, script: string): string {
    const file = join(this.bin, name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  get env(): NodeJS.ProcessEnv {
    return { HOME: this.home, WATTSWEEP_HOME: this.home, PATH: this.bin, WATTSWEEP_GPU: '0' };
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, [READY, ...args], { env: { ...this.env, ...env } });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<Ended>((settle) => child.on('close', (code) => settle({ code, stderr })));
    return { child, ended };
  }

  ready(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
    return this.start(args, env).ended;
  }

  /** Everything in the cache that is not an empty folder: what a failed set-up would leave behind. */
  get leftovers(): string[] {
    if (!existsSync(this.home)) return [];
    return readdirSync(this.home, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.home.length + 1));
  }
}

/** A python3 whose pip is there and does this when asked to download; `$dest` is its `--dest`. */
export const fakePython = (download: string): string => `
case "$*" in
  *"pip --version"*) echo "pip 24.0"; exit 0;;
esac
while [ $# -gt 0 ]; do [ "$1" = --dest ] && dest=$2; shift; done
${download}`;
