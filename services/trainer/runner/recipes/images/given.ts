/** Reads the keys of a parameter that is a mapping. */
import type { Parameters } from '../../../protocol/runner.js';
import { refuse, suggestion } from '../validate.js';

/** Each method throws WattsweepError PARAMETER_REFUSED, naming parameter and key. */
export class Given {
  constructor(
    private readonly parameter: string,
    readonly values: Parameters,
  ) {}

  refuse(key: string, problem: string): never {
    refuse(`${this.parameter}.${key}`, problem);
  }

  /** @param what What the keys belong to, for the message. */
  keys(what: string, known: readonly string[]): void {
    for (const key of Object.keys(this.values)) {
      if (!known.includes(key)) this.refuse(key, `${what} has no such key${suggestion(key, known)}`);
    }
  }

  word<Word extends string>(key: string, choices: readonly Word[], otherwise?: Word): Word {
    const value = this.values[key] ?? otherwise;
    const found = choices.find((choice) => choice === value);
    const hint = typeof value === 'string' ? suggestion(value, choices) : '';
    return found ?? this.refuse(key, `${JSON.stringify(value)} is none of ${choices.join(', ')}${hint}`);
  }

  number(key: string, otherwise: number, min: number, max = Infinity): number {
    const value = this.values[key] ?? otherwise;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
      const bounds = max === Infinity ? `at least ${min}` : `from ${min} to ${max}`;
      this.refuse(key, `${JSON.stringify(value)} is no number ${bounds}`);
    }
    return value;
  }

  /** @param zero Whether 0 may be among them. */
  numbers(key: string, zero: boolean): number[] {
    const value = this.values[key];
    const valid = (item: unknown): item is number =>
      typeof item === 'number' && Number.isFinite(item) && (zero ? item >= 0 : item > 0);
    if (!Array.isArray(value) || !value.every(valid))
      this.refuse(
        key,
        `${JSON.stringify(value)} is no list of ${zero ? 'numbers of at least 0' : 'positive numbers'}`,
      );
    return value;
  }
}
