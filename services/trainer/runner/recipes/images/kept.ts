/**
 * What a runner keeps from one attempt to the next, so that a short trial does not pay for it again: the engine, the data
 * set and the compiled program, one of each. None of it carries a value from one attempt into another: data is only read,
 * and every variable of the program is written before an attempt trains.
 */
import type { SlotDevice } from '../../../protocol/runner.js';
import { type Engine, openEngineOf, setThreads } from '../../engine.js';
import type { Runnable } from '../../graph/signature.js';
import type { Architecture } from './architecture.js';
import { type Data, readData } from './data.js';
import { Model } from './model.js';
import { meanImage } from './pictures.js';
import type { Settings } from './settings.js';

export interface KeptData {
  readonly data: Data;
  /** Of the training images. */
  readonly mean: Float32Array<SharedArrayBuffer>;
}

/** Remembers the last value and what it was made for. */
class Kept<T> {
  #key: string | null = null;
  #value: T | null = null;

  /** @param discard Called with the old value before a new one is made. */
  get(key: string, make: () => T, discard: (old: T) => void = () => undefined): T {
    if (this.#key === key && this.#value !== null) return this.#value;
    this.#key = null;
    if (this.#value !== null) discard(this.#value);
    this.#value = null;
    this.#value = make();
    this.#key = key;
    return this.#value;
  }

  forget(): void {
    this.#key = null;
    this.#value = null;
  }
}

const engine = new Kept<Promise<Engine>>();
const dataset = new Kept<KeptData>();
const program = new Kept<Runnable>();

/** @throws WattsweepError ENGINE_MISSING */
export async function keptEngine(device: SlotDevice): Promise<Engine> {
  try {
    return await engine.get(JSON.stringify(device), () => {
      setThreads(device.threads);
      return openEngineOf(device);
    });
  } catch (error) {
    engine.forget();
    throw error;
  }
}

/** @throws WattsweepError DATASET_INVALID */
export function keptData(settings: Settings): KeptData {
  const { data: set, trainImages, heldOut, testImages } = settings;
  return dataset.get(JSON.stringify([set, trainImages, heldOut, testImages]), () => {
    const data = readData(settings);
    return { data, mean: meanImage(data.training) };
  });
}

/** The program for these settings; the one of other settings is disposed of. */
export function keptProgram(engine: Engine, architecture: Architecture, settings: Settings): Runnable {
  return program.get(
    Model.programKey(settings),
    () => engine.program(Model.source(engine.tf, architecture, settings)),
    (old) => old.dispose(),
  );
}
