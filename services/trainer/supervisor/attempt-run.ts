/**
 * One attempt under its supervisor: gives it to a runner, writes spool and log, and ends the whole tree when it must.
 *
 * The `end` line is written last, when every process of the attempt is gone but for a runner that stays for the next one:
 * who reads it may take the slot as free.
 */
import type { AcceptedAttempt, ExitRecord, NoteLine } from '../attempts/record.js';
import { parseRunnerLine, usualType } from '../attempts/record.js';
import { monotonicMs } from '../host/clock.js';
import { bootId, killTree, lastPid, signalTree, type ProcessTree } from '../host/process.js';
import { attemptFiles } from '../layout.js';
import type { AttemptEndClass, RunnerLine, StopMode } from '../protocol/runner.js';
import { classifyExit, oomKills } from './exit-class.js';
import { OutputLog } from '../output/log.js';
import type { RunnerKeeper } from './runner-keeper.js';
import type { RunnerExit, RunnerProcess } from './runner-process.js';
import { SpoolWriter } from './spool-writer.js';

type EndLine = Extract<RunnerLine, { type: 'end' }>;
interface Heard {
  readonly atUnixMs: number;
  readonly monotonicMs: number;
}
/** How a runner's work for the attempt was over. */
interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  /** The runner, when it may take another attempt. */
  readonly kept: RunnerProcess | null;
}

/** Time between SIGTERM and SIGKILL, and between a runner's last word and its exit. */
const TERM_MS = 1_000;
const EXIT_MS = 5_000;
const OOM_AGE_MS = 1_000;
/** After these ends the runner is as good as new; after any other it is replaced. */
const ORDERLY: ReadonlySet<AttemptEndClass> = new Set(['completed', 'stopped', 'diverged', 'refused']);
/** Longer attempts are worth a wait for the disk at their end, and may have seen the pids go round. */
const SHORT_MS = 10_000;

const now = (): Heard => ({ atUnixMs: Date.now(), monotonicMs: monotonicMs() });
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export class AttemptRun {
  readonly #spool: SpoolWriter;
  readonly #output: OutputLog;
  readonly #oomKillsBefore = oomKills(OOM_AGE_MS);
  readonly #lastPidBefore = lastPid();
  readonly #beganMs = monotonicMs();
  readonly #timers = new Set<NodeJS.Timeout>();
  #runner: RunnerProcess | null = null;
  #tree: ProcessTree;
  #hasSpoken = false;
  #end: { readonly line: EndLine; readonly heard: Heard } | null = null;
  #stop: { readonly mode: StopMode; readonly endAs: 'stopped' | 'preempted' } | null = null;
  #killed = false;
  #gone = false;
  #onKept: () => void = () => undefined;

  /** Resolves when the attempt is over: processes gone, spool written. */
  readonly ended: Promise<void>;

  constructor(
    readonly dir: string,
    private readonly accepted: AcceptedAttempt,
    private readonly keeper: RunnerKeeper,
    private readonly onSpooled: () => void,
  ) {
    const { spool, output } = attemptFiles(dir);
    this.#spool = new SpoolWriter(spool);
    this.#output = new OutputLog(output);
    this.#tree = { group: 0, tokens: [accepted.token] };
    this.ended = this.#run();
  }

  /** Asks the runner to end; after `graceMs` the tree is ended by force. */
  stop(mode: StopMode, endAs: 'stopped' | 'preempted', graceMs: number): void {
    if (this.#stop !== null || this.#gone) return;
    this.#stop = { mode, endAs };
    this.#runner?.send({ type: 'stop', mode });
    this.#after(graceMs, () => this.#force());
  }

  #force(): void {
    this.#killed = true;
    signalTree(this.#tree, 'SIGTERM');
    this.#after(TERM_MS, () => signalTree(this.#tree, 'SIGKILL'));
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  async #run(): Promise<void> {
    const { kept, ...exit } = await this.#serve();
    this.#gone = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const isShort = monotonicMs() - this.#beganMs < SHORT_MS;
    const leftovers = await this.#killLeftovers(kept, isShort ? this.#lastPidBefore : null);

    const said = this.#end;
    const line: EndLine =
      said?.line ??
      classifyExit({
        ...exit,
        stop: this.#stop,
        killed: this.#killed,
        oomKill: oomKills(0) > this.#oomKillsBefore,
        outputTail: this.#output.tail(4096),
      });
    const heard = said?.heard ?? now();
    this.#output.close();
    const record: ExitRecord = { ...exit, leftovers };
    this.#spool.append([JSON.stringify({ ...line, exit: record })], heard);
    await this.#spool.close(!isShort);
    if (kept !== null) this.keeper.keep(kept, this.accepted);
  }

  /** Ends what the attempt has left behind. @param since Pid after which its processes began; null: unknown. */
  async #killLeftovers(kept: RunnerProcess | null, since: number | null): Promise<number> {
    const except = kept?.identity?.pid;
    const tree = except === undefined ? this.#tree : { ...this.#tree, except };
    const leftovers = signalTree(tree, 'SIGKILL', since);
    const stuck = leftovers > 0 ? await killTree(tree) : 0;
    if (stuck > 0) this.#note(`${String(stuck)} processes of this attempt could not be killed`);
    return leftovers;
  }

  async #serve(): Promise<Outcome> {
    const { runner, isWarm } = await this.keeper.take(this.accepted);
    const outcome = await this.#serveOn(runner);
    const diedIdle = isWarm && outcome.kept === null && !this.#hasSpoken && this.#stop === null;
    if (!diedIdle) return outcome;
    // It died while it waited, or of what earlier attempts had left in it: a fresh one tells.
    await killTree(this.#tree);
    return this.#serveOn((await this.keeper.take(this.accepted)).runner);
  }

  /** Resolves when the runner has exited and its pipes are drained, or when it has ended the attempt and stays. */
  async #serveOn(runner: RunnerProcess): Promise<Outcome> {
    const { spec, attemptEnvironment, token } = this.accepted;
    const { identity } = runner;
    if (identity === null) {
      const message = `The runner could not be started: ${(await runner.exited).startError?.message ?? ''}.`;
      this.#end = {
        line: { type: 'end', class: 'crashed', code: 'ATTEMPT_CRASHED', message },
        heard: now(),
      };
      return { code: null, signal: null, kept: null };
    }
    this.#runner = runner;
    this.#tree = { group: identity.pid, tokens: [token, runner.token] };
    const run: NoteLine = { type: 'run', ...identity, bootId: bootId(), token: runner.token };
    this.#spool.append([JSON.stringify(run)]);
    const done = new Promise<RunnerExit | null>((resolve) => {
      this.#onKept = () => resolve(null);
      runner.listen({
        onLines: (lines) => this.#hear(lines),
        onOutput: (chunk) => this.#output.write(chunk),
        onExit: resolve,
      });
    });
    const [name = '', value = ''] = token.split('=');
    runner.send({ type: 'run', attempt: spec, environment: { ...attemptEnvironment, [name]: value } });
    // Asked while the runner before this one was on its way out.
    if (this.#stop !== null) runner.send({ type: 'stop', mode: this.#stop.mode });
    const exit = await done;
    if (exit === null) await runner.settled();
    runner.listen(null);
    const { code = null, signal = null } = exit ?? {};
    return { code, signal, kept: exit === null ? runner : null };
  }

  #hear(lines: readonly string[]): void {
    this.#hasSpoken = true;
    const facts = lines.filter((json) => this.#isFact(json));
    if (facts.length === 0) return;
    this.#spool.append(facts);
    this.onSpooled();
  }

  /** Whether the line goes into the spool; the last word is kept until everything is over. */
  #isFact(json: string): boolean {
    const type = usualType(json);
    if (type !== null) return this.#end === null && (type !== 'step' || this.#spool.hasRoom());
    const line = parseRunnerLine(json);
    if (line === null) {
      this.#note(`not a line of the protocol: ${json.slice(0, 200)}`);
      return false;
    }
    // After its last word a runner has nothing more to say.
    if (this.#end !== null) return false;
    if (line.type !== 'end') return line.type !== 'step' || this.#spool.hasRoom();
    const end: EndLine = {
      type: 'end',
      class: text(line.class) as AttemptEndClass,
      code: text(line.code),
      message: text(line.message),
    };
    const asked = end.class === 'stopped' && this.#stop !== null ? this.#stop.endAs : end.class;
    this.#end = { line: { ...end, class: asked }, heard: now() };
    const isWanted = this.accepted.warmIdleMs > 0 && !this.#killed && ORDERLY.has(end.class);
    if (line.stays === true && isWanted) this.#onKept();
    else {
      this.#runner?.endInput();
      this.#after(EXIT_MS, () => this.#force());
    }
    return false;
  }

  #note(message: string): void {
    this.#output.write(Buffer.from(`[wattsweep] ${message}\n`));
  }
}
