/**
 * A user's module in a thread of its own, called and waited for: what it does with its memory, its globals or the process
 * touches nobody else, and what does not answer in time is ended. It is no wall against malice: a module may use Node's
 * own modules. Hence it runs only where the operator named a folder of modules.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { ModuleFault, type OwnModule, type PlainObservation } from '../core/index.js';
import { workerSource } from './worker-source.js';

export interface SandboxOptions {
  /** @default 5000 */
  readonly loadTimeoutMs?: number;
  /** Of each call. The coordinator waits for it; a machine that stands still for a moment is no fault of the module. @default 3000 */
  readonly callTimeoutMs?: number;
}

const MAX_HEAP_MB = 256;

/** Rules in the memory of one thread: the one that was asked longest ago goes, and is told anew when it is asked again. */
const MOST_SESSIONS = 32;

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly signal: Int32Array;
  /** Functions that the module exports. */
  readonly names: readonly string[];
}

export class Sandbox implements OwnModule {
  readonly #source: string;
  readonly #loadTimeoutMs: number;
  readonly #callTimeoutMs: number;
  #thread: Thread | null = null;
  /** What the thread has in its memory, the one asked longest ago first. */
  readonly #sessions = new Set<number>();
  /** Numbers are never used twice, not by the next thread either. */
  #opened = 0;

  constructor(source: string, { loadTimeoutMs = 5_000, callTimeoutMs = 3_000 }: SandboxOptions = {}) {
    this.#source = source;
    this.#loadTimeoutMs = loadTimeoutMs;
    this.#callTimeoutMs = callTimeoutMs;
  }

  /** Functions that the module exports. @throws ModuleFault when it cannot be loaded */
  get names(): readonly string[] {
    return this.#started().names;
  }

  open(context: object): number {
    const session = this.#opened++;
    this.#call({ call: 'open', session, context });
    this.#sessions.add(session);
    const [oldest] = this.#sessions;
    if (oldest !== undefined && this.#sessions.size > MOST_SESSIONS) {
      this.#sessions.delete(oldest);
      this.#call({ call: 'forget', session: oldest });
    }
    return session;
  }

  isOpen(session: number): boolean {
    return this.#sessions.has(session);
  }

  absorb(session: number, observations: readonly PlainObservation[]): void {
    this.#call({ call: 'absorb', session: this.#used(session), observations });
  }

  judge(session: number, observation: PlainObservation): unknown {
    return this.#call({ call: 'judge', session: this.#used(session), observation });
  }

  propose(request: object): unknown {
    return this.#call({ call: 'propose', request });
  }

  close(): void {
    const thread = this.#thread;
    this.#thread = null;
    this.#sessions.clear();
    thread?.port.close();
    void thread?.worker.terminate();
  }

  #used(session: number): number {
    if (!this.#sessions.delete(session)) throw new ModuleFault('what it remembered of the sweep is gone');
    this.#sessions.add(session);
    return session;
  }

  #call(message: object): unknown {
    const thread = this.#started();
    Atomics.store(thread.signal, 0, 0);
    thread.port.postMessage(JSON.stringify(message));
    return this.#answer(thread, this.#callTimeoutMs);
  }

  #started(): Thread {
    if (this.#thread !== null) return this.#thread;
    const { port1, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const url = `data:text/javascript;base64,${Buffer.from(this.#source).toString('base64')}`;
    const worker = new Worker(workerSource, {
      eval: true,
      workerData: { port: port2, signal, url },
      transferList: [port2],
      env: {},
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    worker.unref();
    port1.unref();
    // A thread that dies does not answer: that is how it is noticed.
    worker.on('error', () => undefined);
    const thread = { worker, port: port1, signal, names: [] };
    this.#thread = thread;
    const names = this.#answer(thread, this.#loadTimeoutMs) as string[];
    return (this.#thread = { ...thread, names });
  }

  #answer(thread: Thread, timeoutMs: number): unknown {
    const outcome = Atomics.wait(thread.signal, 0, 0, timeoutMs);
    const message = receiveMessageOnPort(thread.port)?.message as string | undefined;
    if (outcome === 'timed-out' || message === undefined) {
      this.close();
      throw new ModuleFault(`it did not answer within ${timeoutMs} ms`);
    }
    const { value, fault } = JSON.parse(message) as { value?: unknown; fault?: string };
    if (fault !== undefined) throw new ModuleFault(fault);
    return value;
  }
}
