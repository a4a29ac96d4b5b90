/**
 * The slot supervisor: one process a slot, detached (setsid). It runs one attempt at a time and outlives the
 * trainer service, so that the service can be killed, restarted and upgraded while training goes on.
 *
 * Start: `node main.js SLOT_DIR`, with slot.json written by the service. It imports nothing but Node's own modules: it
 * must start in some ten milliseconds, and must not fail.
 */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { readBeginning, type Beginning } from '../attempts/beginning.js';
import { monotonicMs } from '../host/clock.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { LineSplitter } from '../host/lines.js';
import { bootId, identify } from '../host/process.js';
import { attemptFiles, slotFiles, type AttemptFiles } from '../layout.js';
import { AttemptRun } from './attempt-run.js';
import { RunnerKeeper } from './runner-keeper.js';
import type { ServiceMessage, SlotFile, SupervisorMessage } from './messages.js';

const MAX_MESSAGE_BYTES = 64 * 1024;
/** Until a service has said its own. */
const FIRST_LOST_AFTER_MS = 30_000;
const SPOOLED_AFTER_MS = 3;
const SPOOLED_INTERVAL_MS = 10;

class Supervisor {
  #service: Socket | null = null;
  #run: AttemptRun | null = null;
  #lastHeardMs = monotonicMs();
  #lostAfterMs = FIRST_LOST_AFTER_MS;
  #stopGraceMs = 10_000;
  #leaving = false;
  #spooledTimer: NodeJS.Timeout | null = null;
  #toldSpooledMs = -Infinity;
  readonly #keeper: RunnerKeeper;

  constructor(
    private readonly slot: SlotFile,
    private readonly slotFile: string,
  ) {
    this.#keeper = new RunnerKeeper(dirname(slotFile));
  }

  listen(): void {
    rmSync(this.slot.socketPath, { force: true });
    const server = createServer((socket) => this.#greet(socket));
    server.on('error', (error) => {
      process.stderr.write(`cannot listen on ${this.slot.socketPath}: ${error.message}\n`);
      process.exit(1);
    });
    server.listen(this.slot.socketPath, () => {
      writeJsonSync(
        this.slotFile,
        { ...this.slot, ...identify(process.pid), bootId: bootId() },
        { mode: 0o600 },
      );
    });
    this.#watch();
  }

  /**
   * Ends the attempt when no service has been heard for too long. Seen twice before it acts: after a SIGSTOP of this
   * very process the service's words are still unread in the socket when the timer fires.
   */
  #watch(seenSilent = false): void {
    const silent = monotonicMs() - this.#lastHeardMs > this.#lostAfterMs;
    if (silent && seenSilent) this.leave();
    setTimeout(() => this.#watch(silent), Math.min(1_000, Math.max(20, this.#lostAfterMs / 10)));
  }

  /** Ends the attempt after a checkpoint, then exits. */
  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    if (this.#run === null) void this.#exit();
    else this.#run.stop('pause', 'preempted', this.#stopGraceMs);
  }

  /** Nobody is greeted any more, and the runner that waits goes first. */
  async #exit(): Promise<never> {
    this.#leaving = true;
    rmSync(this.slot.socketPath, { force: true });
    await this.#keeper.close();
    // The socket has a folder of its own where the slot's path is too long for one.
    const folder = dirname(this.slot.socketPath);
    if (folder !== dirname(this.slotFile)) rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  }

  #greet(socket: Socket): void {
    const splitter = new LineSplitter((line) => this.#hear(socket, line), MAX_MESSAGE_BYTES);
    socket.on('data', (chunk) => splitter.push(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#service === socket) this.#service = null;
    });
  }

  #hear(socket: Socket, line: string): void {
    let message: ServiceMessage;
    try {
      message = JSON.parse(line) as ServiceMessage;
    } catch {
      socket.destroy();
      return;
    }
    if (message.type === 'hello') {
      if (message.token !== this.slot.token) {
        socket.destroy();
        return;
      }
      if (this.#service !== socket) this.#service?.destroy();
      this.#service = socket;
      this.#lostAfterMs = message.lostAfterMs;
      this.#stopGraceMs = message.stopGraceMs;
    } else if (this.#service !== socket) {
      socket.destroy();
      return;
    }
    this.#lastHeardMs = monotonicMs();
    this.#obey(message);
  }

  #obey(message: ServiceMessage): void {
    switch (message.type) {
      case 'hello':
        this.#say({ type: 'state', pid: process.pid, attemptDir: this.#run?.dir ?? null });
        break;
      case 'alive':
        break;
      case 'start':
        this.#start(message.attemptDir);
        break;
      case 'stop':
        if (this.#run?.dir === message.attemptDir)
          this.#run.stop(message.mode, message.endAs, this.#stopGraceMs);
        break;
      case 'cool':
        void this.#keeper.close().then(() => this.#say({ type: 'cooled' }));
        break;
      case 'retire':
        if (this.#run === null) void this.#exit();
    }
  }

  #start(attemptDir: string): void {
    const running = this.#run?.dir;
    const files = attemptFiles(attemptDir);
    const beginning = beginningOf(files);
    const reason =
      running !== undefined && running !== attemptDir
        ? `the slot runs ${running}`
        : this.#leaving
          ? 'the supervisor is on its way out'
          : beginning === null
            ? `what was accepted cannot be read in ${files.accepted}`
            : null;
    if (reason !== null || beginning === null) {
      this.#say({ type: 'refused', attemptDir, reason: reason ?? '' });
      return;
    }
    // Started twice, or over already: whoever asked finds it in the spool.
    if (running === attemptDir || beginning.begun) return;
    let run: AttemptRun;
    try {
      run = new AttemptRun(attemptDir, beginning.accepted, this.#keeper, () => this.#tellSpooled(attemptDir));
    } catch (error) {
      this.#say({ type: 'refused', attemptDir, reason: String(error) });
      return;
    }
    this.#run = run;
    void run.ended.then(() => {
      this.#run = null;
      if (this.#spooledTimer !== null) clearTimeout(this.#spooledTimer);
      this.#spooledTimer = null;
      this.#say({ type: 'ended', attemptDir });
      if (this.#leaving) void this.#exit();
    });
  }

  /**
   * A moment later, so that a short attempt is told by its end alone, and not more often than the service needs to know: it
   * reads all that is there.
   */
  #tellSpooled(attemptDir: string): void {
    if (this.#spooledTimer !== null) return;
    const isOften = monotonicMs() - this.#toldSpooledMs < SPOOLED_INTERVAL_MS;
    this.#spooledTimer = setTimeout(
      () => {
        this.#spooledTimer = null;
        this.#toldSpooledMs = monotonicMs();
        this.#say({ type: 'spooled', attemptDir });
      },
      isOften ? SPOOLED_INTERVAL_MS : SPOOLED_AFTER_MS,
    );
  }

  #say(message: SupervisorMessage): void {
    this.#service?.write(`${JSON.stringify(message)}\n`);
  }
}

function beginningOf(files: AttemptFiles): Beginning | null {
  try {
    return readBeginning(files);
  } catch {
    return null;
  }
}

const slotDir = process.argv[2] ?? '.';
const { slot: slotFile } = slotFiles(slotDir);
const slot = readJsonSync(slotFile) as SlotFile | undefined;
if (slot === undefined) {
  process.stderr.write(`no slot.json in ${slotDir}\n`);
  process.exit(1);
}
// A terminal's Ctrl-C and its end reach the service, which decides; the supervisor stays until it is told.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
const supervisor = new Supervisor(slot, slotFile);
process.on('SIGTERM', () => supervisor.leave());
supervisor.listen();
