/**
 * Values of the state as bytes, exactly: maps and sets, NaN and -0, keys in their order. Lists are what makes a state
 * large, so lists of numbers are stored as such and lists of records of one shape by columns, a tenth of their JSON;
 * everything else is JSON (`codec.ts`). Numbers are little-endian, as on every machine that Node runs on.
 */
import { fromJson, toJson } from '../codec.js';
import { ByteReader, ByteWriter } from './bytes.js';

const Tag = { json: 0, numbers: 1, table: 2, object: 3, map: 4, set: 5, list: 6 } as const;
const ColumnTag = { same: 0, integers: 1, numbers: 2, gaps: 3, json: 4 } as const;

/** Shorter lists are written as JSON. */
const SHORTEST_TABLE = 4;

type Leaf = string | number | boolean | null;
/** Keys of a record in their order; a leaf is null. */
type Shape = readonly (readonly [key: string, shape: Shape | null])[];

/** @throws TypeError for what neither JSON nor a Map nor a Set can hold */
export function pack(value: unknown): Uint8Array {
  const out = new ByteWriter();
  write(out, value);
  return out.take();
}

export const unpack = (bytes: Uint8Array): unknown => read(new ByteReader(bytes));

function write(out: ByteWriter, value: unknown): void {
  if (Array.isArray(value)) {
    writeList(out, value as unknown[]);
  } else if (value instanceof Map) {
    out.byte(Tag.map);
    out.uint(value.size);
    write(out, [...value.keys()]);
    for (const item of value.values()) write(out, item);
  } else if (value instanceof Set) {
    out.byte(Tag.set);
    write(out, [...value]);
  } else if (typeof value === 'object' && value !== null && !isSimple(value)) {
    const entries = Object.entries(plain(value)).filter(([, item]) => item !== undefined);
    out.byte(Tag.object);
    out.text(toJson(entries.map(([key]) => key)));
    for (const [, item] of entries) write(out, item);
  } else {
    out.byte(Tag.json);
    out.text(toJson(isLeaf(value) ? value : plain(value)));
  }
}

function read(from: ByteReader): unknown {
  const tag = from.byte();
  switch (tag) {
    case Tag.json:
      return fromJson(from.text());
    case Tag.numbers:
      return [...from.numbers(from.uint())];
    case Tag.table:
      return readTable(from);
    case Tag.list:
      return Array.from({ length: from.uint() }, () => read(from));
    case Tag.object:
      return Object.fromEntries((fromJson(from.text()) as string[]).map((key) => [key, read(from)]));
    case Tag.map: {
      const size = from.uint();
      const keys = read(from) as unknown[];
      return new Map(Array.from({ length: size }, (_, i) => [keys[i], read(from)]));
    }
    case Tag.set:
      return new Set(read(from) as unknown[]);
    default:
      throw new RangeError(`a snapshot has no tag ${tag}`);
  }
}

function writeList(out: ByteWriter, values: readonly unknown[]): void {
  if (values.length >= SHORTEST_TABLE && values.every((value) => typeof value === 'number')) {
    out.byte(Tag.numbers);
    out.uint(values.length);
    out.numbers(values);
    return;
  }
  const shape = values.length >= SHORTEST_TABLE ? commonShape(values) : null;
  if (shape !== null) {
    writeTable(out, values as readonly object[], shape);
  } else if (values.every((value) => isLeaf(value) || isSimple(value))) {
    out.byte(Tag.json);
    out.text(toJson(values));
  } else {
    out.byte(Tag.list);
    out.uint(values.length);
    for (const value of values) write(out, value);
  }
}

const isLeaf = (value: unknown): value is Leaf =>
  value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

/** Whether JSON holds it, and holds it well: no maps and sets, no long lists anywhere. */
function isSimple(value: unknown): boolean {
  if (isLeaf(value) || value === undefined) return true;
  if (Array.isArray(value))
    return (
      value.length < SHORTEST_TABLE * SHORTEST_TABLE &&
      value.every((item) => item !== undefined && isSimple(item))
    );
  return isPlain(value) && Object.values(value).every(isSimple);
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function plain(value: unknown): object {
  if (isPlain(value)) return value;
  throw new TypeError(`a snapshot cannot hold ${Object.prototype.toString.call(value)}`);
}

/** The shape that all of them have, as far down as leaves; null when they differ, or hold lists, maps or sets. */
function commonShape(values: readonly unknown[]): Shape | null {
  const shape = shapeOf(values[0]);
  return shape !== null && values.every((value) => hasShape(value, shape)) ? shape : null;
}

function shapeOf(value: unknown): Shape | null {
  if (!isPlain(value)) return null;
  const shape: [string, Shape | null][] = [];
  for (const [key, item] of Object.entries(value)) {
    const inner = isLeaf(item) ? null : shapeOf(item);
    if ((!isLeaf(item) && inner === null) || key === '__proto__') return null;
    shape.push([key, inner]);
  }
  return shape;
}

function hasShape(value: unknown, shape: Shape): boolean {
  if (!isPlain(value)) return false;
  const keys = Object.keys(value);
  if (keys.length !== shape.length) return false;
  for (const [i, [key, inner]] of shape.entries()) {
    if (keys[i] !== key) return false;
    const item = (value as Record<string, unknown>)[key];
    if (inner === null ? !isLeaf(item) : !hasShape(item, inner)) return false;
  }
  return true;
}

function writeTable(out: ByteWriter, rows: readonly object[], shape: Shape): void {
  out.byte(Tag.table);
  out.uint(rows.length);
  out.text(JSON.stringify(shape));
  writeColumns(out, rows, shape);
}

function writeColumns(out: ByteWriter, rows: readonly object[], shape: Shape): void {
  for (const [key, inner] of shape) {
    const column = rows.map((row) => (row as Record<string, unknown>)[key]);
    if (inner === null) writeColumn(out, column as Leaf[]);
    else writeColumns(out, column as object[], inner);
  }
}

/** Their differences, too, are exact. */
const isInteger = (value: Leaf): boolean =>
  Number.isInteger(value) && Math.abs(value as number) < 2 ** 51 && !Object.is(value, -0);

function writeColumn(out: ByteWriter, column: readonly Leaf[]): void {
  const [first = null] = column;
  if (column.every((value) => Object.is(value, first))) {
    out.byte(ColumnTag.same);
    out.text(toJson(first));
  } else if (column.every(isInteger)) {
    out.byte(ColumnTag.integers);
    let before = 0;
    for (const value of column as readonly number[]) {
      out.int(value - before);
      before = value;
    }
  } else if (column.every((value) => typeof value === 'number')) {
    out.byte(ColumnTag.numbers);
    out.numbers(column);
  } else if (column.every((value) => typeof value === 'number' || value === null)) {
    out.byte(ColumnTag.gaps);
    for (const value of column) out.byte(value === null ? 0 : 1);
    out.numbers(column.filter((value) => value !== null));
  } else {
    out.byte(ColumnTag.json);
    out.text(toJson(column));
  }
}

function readTable(from: ByteReader): object[] {
  const length = from.uint();
  const shape = JSON.parse(from.text()) as Shape;
  return readRecords(from, shape, length);
}

function readRecords(from: ByteReader, shape: Shape, length: number): object[] {
  const rows = Array.from({ length }, (): Record<string, unknown> => ({}));
  for (const [key, inner] of shape) {
    const column = inner === null ? readColumn(from, length) : readRecords(from, inner, length);
    for (let row = 0; row < length; row += 1) (rows[row] as Record<string, unknown>)[key] = column[row];
  }
  return rows;
}

function readColumn(from: ByteReader, length: number): readonly unknown[] {
  const tag = from.byte();
  switch (tag) {
    case ColumnTag.same:
      return new Array<unknown>(length).fill(fromJson(from.text()));
    case ColumnTag.integers: {
      let value = 0;
      return Array.from({ length }, () => (value += from.int()));
    }
    case ColumnTag.numbers:
      return [...from.numbers(length)];
    case ColumnTag.gaps: {
      const present = Array.from({ length }, () => from.byte() === 1);
      const numbers = from.numbers(present.reduce((sum, is) => sum + (is ? 1 : 0), 0));
      let next = 0;
      return present.map((is) => (is ? (numbers[next++] ?? null) : null));
    }
    case ColumnTag.json:
      return fromJson(from.text()) as unknown[];
    default:
      throw new RangeError(`a snapshot has no column ${tag}`);
  }
}
