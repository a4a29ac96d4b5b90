/** Tells how an attempt ended whose runner did not say so itself. */
import { readFileSync } from 'node:fs';
import { boxFaultIn, isOutOfMemory } from '../protocol/last-words.js';
import type { RunnerLine, StopMode } from '../protocol/runner.js';

type EndLine = Extract<RunnerLine, { type: 'end' }>;

export interface SilentExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** What was asked of the runner before it went, if anything. */
  readonly stop: { readonly mode: StopMode; readonly endAs: 'stopped' | 'preempted' } | null;
  /** Whether the supervisor had to kill it. */
  readonly killed: boolean;
  /** The kernel killed a process for want of memory while this one ran. */
  readonly oomKill: boolean;
  /** Last part of the program's output. */
  readonly outputTail: string;
}

const SIGKILL_CODE = 137;

/** Classes, codes and sentences of a silent end. */
export function classifyExit(exit: SilentExit): EndLine {
  const end = (value: Omit<EndLine, 'type'>): EndLine => ({ type: 'end', ...value });
  const how =
    exit.signal !== null
      ? `was ended by signal ${exit.signal}`
      : exit.code === null
        ? 'went away'
        : `exited with code ${String(exit.code)}`;
  if (exit.stop !== null) {
    const message = exit.killed
      ? 'The runner did not stop within its grace and was killed; its last checkpoint is what is left.'
      : `The runner ${how} when it was asked to stop, without a last word.`;
    return end({ class: exit.stop.endAs, code: '', message });
  }
  const killedFromOutside = exit.signal === 'SIGKILL' || exit.code === SIGKILL_CODE;
  if ((killedFromOutside && exit.oomKill) || (exit.code !== 0 && isOutOfMemory(exit.outputTail)))
    return end({
      class: 'out_of_memory',
      code: 'ATTEMPT_OUT_OF_MEMORY',
      message: `The runner ran out of memory: it ${how}.${lastWords(exit.outputTail)}`,
    });
  const fault = exit.code === 0 ? undefined : boxFaultIn(exit.outputTail);
  if (fault !== undefined)
    return end({
      class: 'crashed',
      code: fault.code,
      message: `The runner ${fault.what}: it ${how}.${lastWords(exit.outputTail)}`,
    });
  return end({
    class: 'crashed',
    code: 'ATTEMPT_CRASHED',
    message: `The runner ${how} without saying how the attempt ended.${lastWords(exit.outputTail)}`,
  });
}

/** The last line that the program printed, to put beside the bare fact. */
function lastWords(tail: string): string {
  const line = tail
    .split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .at(-1);
  return line === undefined ? '' : ` Its last output: ${line.slice(0, 200)}`;
}

let oomKillsRead = { atMs: -Infinity, count: 0 };

/**
 * Processes that the kernel has killed for want of memory since boot; 0 where it does not say.
 *
 * @param maxAgeMs How old the count may be: reading it is not free.
 */
export function oomKills(maxAgeMs: number): number {
  const atMs = performance.now();
  if (atMs - oomKillsRead.atMs < maxAgeMs) return oomKillsRead.count;
  let count = 0;
  try {
    count = Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    // No /proc.
  }
  oomKillsRead = { atMs, count };
  return count;
}
