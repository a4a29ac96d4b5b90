/** Connections to the simulated NATS, on which requests and answers travel, get lost, come late or meet a server that is away. */
import { WattsweepError } from '../../proto/errors.js';
import { LEDGER_STREAM, LEDGER_SUBJECT, REPORTS_STREAM } from '../../proto/subjects.js';
import { isAborted } from '../../services/coordinator/clock.js';
import type {
  Bucket,
  BucketChange,
  PublishOutcome,
  FoundStream,
  StreamBounds,
  StreamMessage,
} from '../../services/coordinator/nats/index.js';
import type { PublishOptions } from '../../services/coordinator/nats/link.js';
import type { SimNats, Weather } from './nats.js';
import type { Random } from './random.js';
import type { Process } from './scheduler.js';

const REQUEST_TIMEOUT_MS = 5_000;
/** Two pings without an answer. */
const NOTICE_CUT_MS = 10_000;
const RECONNECT_MS = 250;

const FAIR: Weather = { loseRequest: 0, loseAnswer: 0, late: 0, publishesOnly: false };

/** One process's connection. */
export class SimLink {
  readonly maxPayloadBytes = 1_048_576;
  readonly weather: Weather = { ...FAIR };
  #cut = false;
  #connected = true;
  readonly #reconnected = new Set<() => void>();
  readonly #restored = new Set<() => void>();

  constructor(
    readonly nats: SimNats,
    readonly process: Process,
    private readonly random: Random,
  ) {
    nats.links.add(this);
    this.#connected = this.#reachable;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get #reachable(): boolean {
    return this.nats.up && !this.#cut;
  }

  cut(isCut: boolean): void {
    this.#cut = isCut;
    this.lookAgain(isCut ? NOTICE_CUT_MS : 0);
  }

  /** The client notices after a while that the connection is gone, or that there is one again. */
  lookAgain(ms: number): void {
    this.process.after(ms + (this.#reachable ? RECONNECT_MS : 0), () => {
      const before = this.#connected;
      this.#connected = this.#reachable;
      // What a short cut held up arrives now.
      if (this.#connected) for (const tell of [...this.#restored]) tell();
      if (before || !this.#connected) return;
      for (const tell of [...this.#reconnected]) tell();
    });
  }

  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  /** @throws NATS_UNREACHABLE when no answer comes: the server may have done it all the same */
  request<T>(perform: () => T, weather = this.weather.publishesOnly ? FAIR : this.weather): Promise<T> {
    const { process, random } = this;
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const fail = (): void => {
        off();
        if (isSettled) return;
        isSettled = true;
        reject(new WattsweepError('NATS_UNREACHABLE', 'no answer'));
      };
      const off = this.onReconnect(fail);
      process.after(REQUEST_TIMEOUT_MS, fail);
      if (random.chance(weather.loseRequest)) return;
      const { starts } = this.nats;
      const toServer = random.chance(weather.late) ? random.between(1_000, 12_000) : this.#latency();
      this.nats.scheduler.after(toServer, () => {
        if (!this.#reachable || this.nats.starts !== starts) return;
        const result = perform();
        if (random.chance(weather.loseAnswer)) return;
        process.after(this.#latency(), () => {
          if (!this.#reachable) return;
          off();
          isSettled = true;
          resolve(result);
        });
      });
    });
  }

  publish(subject: string, data: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    const stream = subject === LEDGER_SUBJECT ? LEDGER_STREAM : REPORTS_STREAM;
    return this.request(() => this.nats.publish(stream, subject, data, options), this.weather);
  }

  bounds(stream: string): Promise<StreamBounds> {
    return this.request(() => {
      const { firstSeq, lastSeq } = this.nats.stream(stream);
      return { firstSeq, lastSeq, bytes: 0 };
    });
  }

  /** Asked beside what is simulated, and never made anew: it costs no time and draws no number. */
  find(stream: string): Promise<FoundStream> {
    const { firstSeq, lastSeq } = this.nats.stream(stream);
    return Promise.resolve({ firstSeq, lastSeq, bytes: 0, madeAt: 'once' });
  }

  messageAt(stream: string, seq: number): Promise<StreamMessage | null> {
    return this.request(() => this.nats.stream(stream).messages.get(seq) ?? null);
  }

  purgeBelow(stream: string, seq: number): Promise<void> {
    return this.request(() => this.nats.purgeBelow(stream, seq));
  }

  async *consume(name: string, fromSeq: number, signal: AbortSignal): AsyncGenerator<StreamMessage> {
    const stream = this.nats.stream(name);
    let next = fromSeq;
    const news = this.#news(stream.listeners, signal);
    try {
      while (!isAborted(signal)) {
        next = Math.max(next, stream.firstSeq);
        const message = this.#reachable ? stream.messages.get(next) : undefined;
        if (message === undefined) {
          await news.wait();
          continue;
        }
        next += 1;
        yield message;
      }
    } finally {
      news.close();
    }
  }

  bucket(name: string): Bucket {
    const { nats } = this;
    return {
      create: (key, value) => this.request(() => nats.put(name, key, value, 0)),
      update: (key, value, revision) => this.request(() => nats.put(name, key, value, revision)),
      remove: (key, revision) => this.request(() => nats.remove(name, key, revision)),
      get: (key) => this.request(() => nats.get(name, key)),
      watch: (signal) => this.#watch(name, signal),
    };
  }

  async *#watch(name: string, signal: AbortSignal): AsyncGenerator<BucketChange> {
    const keys = this.nats.keys(name);
    const news = this.#news(keys.listeners, signal);
    let next = 0;
    let fresh = true;
    const off = this.onReconnect(() => (fresh = true));
    try {
      while (!isAborted(signal)) {
        if (!this.#reachable || (!fresh && next >= keys.changes.length)) {
          await news.wait();
          continue;
        }
        if (fresh) {
          fresh = false;
          next = keys.changes.length;
          for (const key of [...keys.entries.keys()]) {
            const entry = this.nats.get(name, key);
            if (entry !== null) yield { type: 'put', entry };
          }
          continue;
        }
        const change = keys.changes[next];
        next += 1;
        if (change !== undefined) yield change;
      }
    } finally {
      off();
      news.close();
    }
  }

  /** Waits for what listeners are told of, for the connection to come back, or for the signal. */
  #news(listeners: Set<() => void>, signal: AbortSignal): { wait: () => Promise<void>; close: () => void } {
    let has = true;
    let wake: () => void = () => undefined;
    const told = (): void => {
      has = true;
      wake();
    };
    const later = (): void => this.process.after(this.#latency(), told);
    listeners.add(later);
    this.#restored.add(told);
    signal.addEventListener('abort', told);
    return {
      wait: async () => {
        if (!has) await new Promise<void>((resolve) => (wake = resolve));
        has = false;
      },
      close: () => {
        listeners.delete(later);
        this.#restored.delete(told);
        signal.removeEventListener('abort', told);
      },
    };
  }

  #latency(): number {
    return this.random.between(0.2, 5);
  }
}
