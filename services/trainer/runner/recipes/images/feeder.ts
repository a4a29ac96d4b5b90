/**
 * Batches ahead of the training step: a worker thread shuffles, shifts and mirrors into a ring of shared slots while
 * TensorFlow computes, so that the step only waits when augmentation is slower than training.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { AugmentSettings } from './augment.js';
import { stepsPerEpoch } from './architecture.js';
import { type Images, pixelsOf } from './pictures.js';

export interface FeederOptions {
  readonly images: Images;
  /** One image's mean, subtracted from each. */
  readonly mean: Float32Array<SharedArrayBuffer>;
  readonly augment: AugmentSettings;
  readonly batchSize: number;
  readonly seed: number;
  /** Where to begin: 1-based epoch, and batches of it to leave out. */
  readonly firstEpoch: number;
  readonly skipBatches: number;
  readonly lastEpoch: number;
}

export interface Batch {
  /** float32 [size, side, side, 3]; valid until the batch is released. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly size: number;
  /** Time that {@link Feeder.next} waited, in seconds. */
  readonly waitedSeconds: number;
  /** Gives the slot back to the worker. */
  release(): void;
}

/** What the worker is started with. */
export interface FeederWork extends FeederOptions {
  readonly ring: Ring;
}

/** Shared between the two threads. */
export interface Ring {
  readonly slots: number;
  /** One word a slot, of {@link SlotState}, and a last one that the worker sets to 1 when it fails. */
  readonly states: Int32Array<SharedArrayBuffer>;
  readonly images: Float32Array<SharedArrayBuffer>;
  readonly labels: Int32Array<SharedArrayBuffer>;
}

export const SlotState = { free: 0, full: 1 } as const;

const SLOTS = 4;
/** A worker that gives nothing for so long is dead: a batch takes milliseconds. */
const PATIENCE_MS = 60_000;

/** Gives the batches of all epochs in order. Made by {@link open}; call {@link close} at the end. */
export class Feeder {
  readonly #ring: Ring;
  readonly #worker: Worker;
  readonly #batchSize: number;
  readonly #count: number;
  /** Numbers of an image. */
  readonly #pixels: number;
  #batch: number;
  #taken = 0;

  private constructor(options: FeederOptions) {
    this.#batchSize = options.batchSize;
    this.#count = options.images.count;
    this.#pixels = pixelsOf(options.images.side);
    this.#batch = options.skipBatches;
    const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
    this.#ring = {
      slots: SLOTS,
      states: new Int32Array(shared(4 * (SLOTS + 1))),
      images: new Float32Array(shared(4 * SLOTS * options.batchSize * this.#pixels)),
      labels: new Int32Array(shared(4 * SLOTS * options.batchSize)),
    };
    const work: FeederWork = { ...options, ring: this.#ring };
    this.#worker = startWorker(work);
    // From here on an error of the worker is told by the ring, where the waiting main thread looks.
    this.#worker.on('error', () => undefined);
  }

  /**
   * Starts the worker and waits until it runs: loading its code needs this thread's event loop, which {@link next} and
   * the training step block.
   */
  static async open(options: FeederOptions): Promise<Feeder> {
    const feeder = new Feeder(options);
    await once(feeder.#worker, 'message');
    feeder.#worker.unref();
    return feeder;
  }

  /**
   * The next batch; blocks until it is there. The last batch of an epoch holds what is left of the images.
   *
   * @throws Error when the worker has failed.
   */
  next(): Batch {
    const { states, images, labels } = this.#ring;
    const slot = this.#taken % SLOTS;
    const begin = performance.now();
    while (Atomics.load(states, slot) !== SlotState.full) {
      if (Atomics.load(states, SLOTS) === 1) throw new Error('the augmentation worker failed');
      if (Atomics.wait(states, slot, SlotState.free, PATIENCE_MS) === 'timed-out') {
        throw new Error(`the augmentation worker gave no batch for ${PATIENCE_MS / 1000} s`);
      }
    }
    const waitedSeconds = (performance.now() - begin) / 1000;
    const steps = stepsPerEpoch(this.#count, this.#batchSize);
    const size = Math.min(this.#batchSize, this.#count - (this.#batch % steps) * this.#batchSize);
    this.#batch++;
    this.#taken++;
    const at = slot * this.#batchSize;
    return {
      images: images.subarray(at * this.#pixels, (at + size) * this.#pixels),
      labels: labels.subarray(at, at + size),
      size,
      waitedSeconds,
      release: () => {
        Atomics.store(states, slot, SlotState.free);
        Atomics.notify(states, slot);
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** In a package the worker is the bundle's neighbour; in a clone it is TypeScript, and needs tsx first. */
function startWorker(workerData: FeederWork): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL('./feeder-worker.js', import.meta.url), { workerData });
  }
  const tsx = import.meta.resolve('tsx/esm/api');
  const source = new URL('./feeder-worker.ts', import.meta.url).href;
  const code = `import('${tsx}').then(({ register }) => { register(); return import('${source}'); })`;
  return new Worker(code, { workerData, eval: true, execArgv: [] });
}
