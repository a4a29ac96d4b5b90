/**
 * What the meter knows of its devices, on the disk while something trains: a service that is started again goes on where
 * the one before it was, and an energy counter bridges the time between. Without a counter that time is a gap, and is
 * told as one.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { bootId } from '../host/process.js';
import { CUMULATIVE, type Cumulative } from './series.js';

/** A device at one moment. */
export interface Remembered {
  readonly atMs: number;
  /** Joules on its counter as it was read; null without one. */
  readonly counterJoules: number | null;
  /** Attempts that had it, from 1. */
  readonly holders: number;
  readonly sum: Cumulative;
}

export interface MeterMemoryOptions {
  readonly path: string;
  /** Something trains: what is forgotten now would be missed. */
  readonly isNeeded: () => boolean;
  /** @default 10000 */
  readonly periodMs?: number;
  /** The file is thinned to half when it has more bytes. @default 16 MiB */
  readonly maxBytes?: number;
  /** The disk does not take it. */
  readonly onProblem?: (error: unknown) => void;
}

const PERIOD_MS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

type Row = readonly [
  device: string,
  atMs: number,
  counterJoules: number | null,
  holders: number,
  ...sum: number[],
];

export class MeterMemory {
  #bytes = 0;
  #notedMs = -Infinity;
  #isEmpty = false;

  constructor(private readonly options: MeterMemoryOptions) {}

  /** What was noted since the last start of this machine, by device, oldest first. */
  load(): ReadonlyMap<string, readonly Remembered[]> {
    const devices = new Map<string, Remembered[]>();
    let lines: string[];
    try {
      lines = readFileSync(this.options.path, 'utf8').split('\n');
    } catch {
      return devices;
    }
    if (lines[0] !== header()) return devices;
    this.#bytes = lines.reduce((sum, line) => sum + line.length + 1, 0);
    for (const line of lines.slice(1))
      for (const [device, atMs, counterJoules, holders, ...sum] of rowsOf(line)) {
        const known = devices.get(device) ?? [];
        known.push({ atMs, counterJoules, holders, sum: cumulativeOf(sum) });
        devices.set(device, known);
      }
    return devices;
  }

  /** Notes the devices now and then, as long as it is needed; at once when `isUrgent`. */
  note(nowMs: number, devices: () => readonly (readonly [string, Remembered])[], isUrgent = false): void {
    const { path, isNeeded, periodMs = PERIOD_MS, maxBytes = MAX_BYTES, onProblem } = this.options;
    try {
      if (!isNeeded()) {
        if (!this.#isEmpty) this.#empty();
        return;
      }
      if (nowMs - this.#notedMs < periodMs && !isUrgent) return;
      if (this.#bytes === 0) this.#empty();
      this.#notedMs = nowMs;
      const rows = devices().map(([device, { atMs, counterJoules, holders, sum }]): Row => {
        const values = CUMULATIVE.map((column) => sum[column]);
        return [device, atMs, counterJoules, holders, ...values];
      });
      const line = `${JSON.stringify(rows)}\n`;
      appendFileSync(path, line);
      this.#isEmpty = false;
      this.#bytes += line.length;
      if (this.#bytes > maxBytes) this.#thin();
    } catch (error) {
      onProblem?.(error);
    }
  }

  #empty(): void {
    writeFileSync(this.options.path, `${header()}\n`);
    this.#bytes = header().length + 1;
    this.#isEmpty = true;
    this.#notedMs = -Infinity;
  }

  /** Every second line goes: what is old is needed for the beginnings of long stretches only. */
  #thin(): void {
    const lines = readFileSync(this.options.path, 'utf8').split('\n').slice(1, -1);
    const kept = lines.filter((_line, index) => index % 2 === 0 || index === lines.length - 1);
    const text = [header(), ...kept, ''].join('\n');
    writeFileSync(this.options.path, text);
    this.#bytes = text.length;
  }
}

/** The monotonic clock begins anew with each start of the machine. */
const header = (): string => JSON.stringify({ version: 2, bootId: bootId() });

function rowsOf(line: string): readonly Row[] {
  try {
    const rows: unknown = JSON.parse(line);
    return Array.isArray(rows) ? rows.filter(isRow) : [];
  } catch {
    // Half a line: the service was killed while it wrote.
    return [];
  }
}

const isRow = (row: unknown): row is Row =>
  Array.isArray(row) &&
  typeof row[0] === 'string' &&
  row.length === 4 + CUMULATIVE.length &&
  row.slice(1).every((value, index) => typeof value === 'number' || (index === 1 && value === null));

const cumulativeOf = (values: readonly number[]): Cumulative =>
  Object.fromEntries(
    CUMULATIVE.map((column, index) => [column, values[index] ?? 0]),
  ) as unknown as Cumulative;
