/**
 * What a runner keeps from one attempt to the next, so that a short trial does not pay for it again: the engine, the data
 * set and the compiled program, one of each. None of it carries a value from one attempt into another: data is only read,
 * and every variable of the program is written before an attempt trains.
 */
import type { SlotDevice } from '../../../protocol/runner.js';
import { type Engine, openEngine, setThreads } from '../../engine.js';
import type { Program } from '../../graph/program.js';
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
}

const engine = new Kept<Engine>();
const dataset = new Kept<KeptData>();
const program = new Kept<Program>();

/** @throws WattsweepError ENGINE_MISSING */
export function keptEngine(device: SlotDevice): Engine {
  return engine.get(JSON.stringify(device), () => {
    setThreads(device.threads);
    return openEngine(device);
  });
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
export function keptProgram(engine: Engine, architecture: Architecture, settings: Settings): Program {
  return program.get(
    Model.programKey(settings),
    () => Model.compile(engine, architecture, settings),
    (old) => old.dispose(),
  );
}
