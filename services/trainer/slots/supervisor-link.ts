/**
 * The service's end of a slot's supervisor: finds the one that runs (also one that an earlier service started), starts
 * one when there is none, and carries commands and news over its socket.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../../../proto/errors.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { LineSplitter } from '../host/lines.js';
import { bootId, isAlive } from '../host/process.js';
import { slotFiles } from '../layout.js';
import type { ServiceMessage, SlotFile, SupervisorMessage } from '../supervisor/messages.js';

export interface LinkOptions {
  readonly slotDir: string;
  /** Program and arguments; the slot's folder is appended. */
  readonly supervisorCommand: readonly string[];
  readonly lostAfterMs: number;
  readonly stopGraceMs: number;
}

export interface LinkEvents {
  /** News of the supervisor, its first `state` left out. */
  readonly onMessage: (message: SupervisorMessage) => void;
  /** The supervisor is gone for good: killed, or the box out of memory. */
  readonly onGone: () => void;
}

const START_TIMEOUT_MS = 10_000;
const CONNECT_RETRY_MS = 5;
const GREETING_TIMEOUT_MS = 5_000;
/** The kernel's limit for the path of a Unix socket is 107 bytes on Linux, 103 on macOS. */
const SOCKET_PATH_BYTES = 100;
const MAX_MESSAGE_BYTES = 64 * 1024;
const HEARTBEAT_MS = 5_000;
const RETIRE_MS = 5_000;

export class SupervisorLink {
  #heartbeat: NodeJS.Timeout | null = null;
  #closed = false;

  private constructor(
    private socket: Socket,
    private readonly slot: SlotFile,
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
    /** Attempt that held the slot when the link was made, or null. */
    readonly heldAtStart: string | null,
  ) {
    this.#attend();
  }

  /** Links to the slot's living supervisor, or returns null when there is none. */
  static async adopt(options: LinkOptions, events: LinkEvents): Promise<SupervisorLink | null> {
    const slot = readJsonSync(slotFiles(options.slotDir).slot) as SlotFile | undefined;
    if (slot === undefined || !lives(slot)) return null;
    const greeted = await greet(slot, options, () => lives(slot)).catch(() => null);
    if (greeted !== null)
      return new SupervisorLink(greeted.socket, slot, options, events, greeted.attemptDir);
    // It lives but does not answer: a slot must never have two.
    if (lives(slot)) killHard(slot);
    return null;
  }

  /** Links to the slot's supervisor, starting one if need be. Throws INTERNAL when it does not come up. */
  static async open(options: LinkOptions, events: LinkEvents): Promise<SupervisorLink> {
    const adopted = await SupervisorLink.adopt(options, events);
    if (adopted !== null) return adopted;
    mkdirSync(options.slotDir, { recursive: true });
    const files = slotFiles(options.slotDir);
    const token = randomBytes(16).toString('hex');
    const socketPath =
      Buffer.byteLength(files.socket) <= SOCKET_PATH_BYTES
        ? files.socket
        : join(mkdtempSync(join(tmpdir(), 'wattsweep-slot-')), 's');
    writeJsonSync(
      files.slot,
      { version: 2, socketPath, token, pid: 0, startTicks: 0, bootId: bootId() },
      { mode: 0o600 },
    );
    const [program = '', ...args] = options.supervisorCommand;
    const log = openSync(files.log, 'a');
    let exited = false;
    // Detached (setsid): neither the service's end nor its terminal's takes the supervisor along.
    const child = spawn(program, [...args, options.slotDir], { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    child.once('error', () => (exited = true));
    child.once('exit', () => (exited = true));
    child.unref();
    const slot: SlotFile = { version: 2, socketPath, token, pid: 0, startTicks: 0, bootId: '' };
    try {
      const greeted = await greet(slot, options, () => !exited);
      const written = readJsonSync(files.slot) as SlotFile;
      return new SupervisorLink(greeted.socket, written, options, events, greeted.attemptDir);
    } catch (error) {
      throw new WattsweepError(
        'INTERNAL',
        `The supervisor of slot ${options.slotDir} did not start; see ${files.log}.`,
        {
          cause: error,
        },
      );
    }
  }

  #attend(): void {
    const { socket } = this;
    const splitter = new LineSplitter(
      (line) => this.events.onMessage(JSON.parse(line) as SupervisorMessage),
      MAX_MESSAGE_BYTES,
    );
    socket.on('data', (chunk) => splitter.push(chunk));
    socket.on('close', () => void this.#lost());
    socket.resume();
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    const beatMs = Math.min(HEARTBEAT_MS, Math.max(10, this.options.lostAfterMs / 5));
    this.#heartbeat = setInterval(() => this.send({ type: 'alive' }), beatMs);
    this.#heartbeat.unref();
  }

  /** The connection broke: the supervisor has died, or only the connection. */
  async #lost(): Promise<void> {
    if (this.#closed) return;
    while (lives(this.slot)) {
      const greeted = await greet(this.slot, this.options, () => lives(this.slot)).catch(() => null);
      // Closed while the greeting was under way.
      if (this.isClosed()) {
        greeted?.socket.destroy();
        return;
      }
      if (greeted === null) {
        await sleep(CONNECT_RETRY_MS);
        continue;
      }
      this.socket = greeted.socket;
      this.#attend();
      this.events.onMessage({ type: 'state', pid: this.slot.pid, attemptDir: greeted.attemptDir });
      return;
    }
    this.close();
    this.events.onGone();
  }

  private isClosed(): boolean {
    return this.#closed;
  }

  /** It was started by a service of version 0.1: it can end what it runs, and nothing that is accepted now. */
  get isFormer(): boolean {
    return this.slot.version === 1;
  }

  /** Lets a supervisor without an attempt go; resolves when it is gone. */
  async retire(): Promise<void> {
    this.send({ type: 'retire' });
    this.close();
    const deadline = performance.now() + RETIRE_MS;
    while (lives(this.slot)) {
      if (performance.now() > deadline) killHard(this.slot);
      await sleep(CONNECT_RETRY_MS);
    }
  }

  send(message: ServiceMessage): void {
    if (!this.socket.destroyed) this.socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Lets go of the supervisor, which lives on. */
  close(): void {
    this.#closed = true;
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    this.socket.end();
  }
}

const lives = (slot: SlotFile): boolean => slot.pid > 0 && slot.bootId === bootId() && isAlive(slot);

function killHard({ pid }: SlotFile): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone since the look.
  }
}

/** Connects and says hello; resolves with the socket, paused, and the attempt that holds the slot. */
async function greet(
  slot: SlotFile,
  options: LinkOptions,
  worthWaiting: () => boolean,
): Promise<{ socket: Socket; attemptDir: string | null }> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = await tryConnect(slot.socketPath);
    if (socket !== null) {
      const hello: ServiceMessage = {
        type: 'hello',
        token: slot.token,
        lostAfterMs: options.lostAfterMs,
        stopGraceMs: options.stopGraceMs,
      };
      socket.write(`${JSON.stringify(hello)}\n`);
      return { socket, attemptDir: await firstState(socket) };
    }
    if (!worthWaiting() || performance.now() > deadline)
      throw new Error(`nobody listens on ${slot.socketPath}`);
    await sleep(CONNECT_RETRY_MS);
  }
}

function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      // An error is followed by `close`, which is what counts.
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', () => resolve(null));
  });
}

function firstState(socket: Socket): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('no greeting')), GREETING_TIMEOUT_MS);
    const refuse = (): void => {
      clearTimeout(timer);
      reject(new Error('the supervisor refused the connection'));
    };
    const splitter = new LineSplitter((line) => {
      const message = JSON.parse(line) as SupervisorMessage;
      if (message.type !== 'state') return;
      clearTimeout(timer);
      socket.pause();
      socket.off('data', read);
      socket.off('close', refuse);
      resolve(message.attemptDir);
    }, MAX_MESSAGE_BYTES);
    const read = (chunk: Buffer): void => splitter.push(chunk);
    socket.on('data', read);
    socket.once('close', refuse);
  });
}
