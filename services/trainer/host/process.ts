/**
 * Processes of this host: which one a pid is (pids are used again), and the whole tree that an attempt started.
 *
 * A tree is found by its process group and by a token in its members' environment: a grandchild that calls setsid
 * leaves the group, but keeps the environment. Without /proc only the group is known.
 */
import { openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process, told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot (field 22 of /proc/PID/stat); 0 where there is no /proc. */
  readonly startTicks: number;
}

let bootIdRead: string | null = null;

/** Changes with each boot; empty where it cannot be read. */
export function bootId(): string {
  if (bootIdRead === null) {
    try {
      bootIdRead = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      bootIdRead = '';
    }
  }
  return bootIdRead;
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
  /** `NAME=value`, one of which stands in the environment of every member. */
  readonly tokens: readonly string[];
  /** Pid of a member that is left alone. */
  readonly except?: number;
}

/** Kept open: it is read twice in each attempt, however short. */
let loadavgFd: number | null = null;
const loadavgLine = Buffer.alloc(128);

/** The newest pid (of a process or a thread); null where the system does not say. */
export function lastPid(): number | null {
  try {
    loadavgFd ??= openSync('/proc/loadavg', 'r');
    const text = loadavgLine.toString(
      'latin1',
      0,
      readSync(loadavgFd, loadavgLine, 0, loadavgLine.length, 0),
    );
    const pid = Number(text.trim().split(' ')[4]);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

/** Whether a pid was given out after `since` and up to `until`: they rise, and begin anew at the system's highest. */
const isBetween = (pid: number, since: number, until: number): boolean =>
  since <= until ? pid > since && pid <= until : pid > since || pid <= until;

/**
 * Pids of the tree's members that live, zombies left out.
 *
 * @param since What {@link lastPid} was before the first member began, not long ago: only younger processes are looked
 * at, and none where nothing has been started since. Null: all are.
 */
export function membersOf(tree: ProcessTree, since: number | null = null): number[] {
  const until = since === null ? null : lastPid();
  if (since !== null && since === until) return [];
  let pids: number[];
  try {
    pids = readdirSync('/proc').map(Number).filter(Number.isSafeInteger);
  } catch {
    return tree.group > 0 && groupLives(tree.group) ? [-tree.group] : [];
  }
  if (since !== null && until !== null) pids = pids.filter((pid) => isBetween(pid, since, until));
  return pids.filter((pid) => pid !== process.pid && pid !== tree.except && isMember(pid, tree));
}

function isMember(pid: number, tree: ProcessTree): boolean {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return false;
    if (tree.group > 0 && Number(fields[2]) === tree.group) return true;
    const environment = readFileSync(`/proc/${String(pid)}/environ`, 'latin1').split('\0');
    return tree.tokens.some((token) => environment.includes(token));
  } catch {
    // Gone meanwhile, or another user's: not ours.
    return false;
  }
}

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends `signal` to every member, see {@link membersOf}. Returns how many there were. */
export function signalTree(tree: ProcessTree, signal: NodeJS.Signals, since: number | null = null): number {
  const members = membersOf(tree, since);
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
