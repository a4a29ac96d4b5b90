/**
 * Processes of this host: which one a pid is (pids are used again), and the whole tree that an attempt started.
 *
 * A tree is found by its process group and by a token in its members' environment: a grandchild that calls setsid
 * leaves the group, but keeps the environment. Without /proc only the group is known.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process, told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot (field 22 of /proc/PID/stat); 0 where there is no /proc. */
  readonly startTicks: number;
}

/** Changes with each boot; empty where it cannot be read. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** State letter and start time from /proc, or null when there is no such process (or no /proc). */
function stat(pid: number): { state: string; startTicks: number } | null {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    // The command's name stands in parentheses and may hold anything, parentheses and spaces too.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTicks: Number(fields[19]) };
  } catch {
    return null;
  }
}

export const identify = (pid: number): ProcessIdentity => ({ pid, startTicks: stat(pid)?.startTicks ?? 0 });

/** True while that very process lives; a zombie does not. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (!Number.isSafeInteger(identity.pid) || identity.pid <= 0) return false;
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  if (identity.startTicks === 0) return true;
  const now = stat(identity.pid);
  return now !== null && now.state !== 'Z' && now.startTicks === identity.startTicks;
}

/** What finds the processes of one attempt. */
export interface ProcessTree {
  /** Process group of the runner; 0 when it is not known (any more). */
  readonly group: number;
  /** `NAME=value` that stands in the environment of every member. */
  readonly token: string;
}

/** Pids of the tree's members that live, zombies left out. */
export function membersOf(tree: ProcessTree): number[] {
  let pids: string[];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return tree.group > 0 && groupLives(tree.group) ? [-tree.group] : [];
  }
  const members: number[] = [];
  for (const name of pids) {
    const pid = Number(name);
    if (pid === process.pid) continue;
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z') continue;
      const inGroup = tree.group > 0 && Number(fields[2]) === tree.group;
      if (inGroup || readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(tree.token))
        members.push(pid);
    } catch {
      // Gone meanwhile, or another user's: not ours.
    }
  }
  return members;
}

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends `signal` to every member. Returns how many there were. */
export function signalTree(tree: ProcessTree, signal: NodeJS.Signals): number {
  const members = membersOf(tree);
  for (const pid of members) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone between the look and the signal.
    }
  }
  return members.length;
}

/** Kills the tree and waits until it is gone. Returns the number of members that still live after `timeoutMs`. */
export async function killTree(tree: ProcessTree, timeoutMs = 2_000): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = signalTree(tree, 'SIGKILL');
    if (left === 0 || performance.now() > deadline) return left;
    await sleep(20);
  }
}
