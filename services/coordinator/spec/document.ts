/** The sweep file as YAML: read with care, overridden, and asked where a value stands. */
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  parseDocument,
  visit,
  type Alias,
  type CST,
  type Document,
  type Node,
} from 'yaml';

export type Path = readonly (string | number)[];

/** Bytes of the file. */
export const MAX_FILE_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;
const MAX_KEYS = 1000;
/** Of the lexer: about three a value. To compose more takes so long that a coordinator would stand still. */
const MAX_LEXEMES = 300_000;
/** The lexer's mark in front of a plain or block scalar. */
const SCALAR = '\x1f';
const MAX_ALIASES = 100;

/** A stretch of the text, 0-based and half-open. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

export interface SyntaxFault {
  readonly message: string;
  readonly span: Span | null;
  /** Whether the rest of the file can be understood all the same. */
  readonly mild: boolean;
}

export interface OverrideFault {
  readonly override: string;
  readonly message: string;
}

/** `cases[1].lr_peak` for `['cases', 1, 'lr_peak']`. */
export const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );

/**
 * Why the text must not be given to the composer, or null: it aborts the process on deep nesting, and compares each
 * key of a map with all others. Looks at tokens only, without recursion.
 */
export function oversize(text: string): string | null {
  const tooDeep = `lists and maps are nested more than ${MAX_DEPTH} deep`;
  let open = 0;
  let before = '';
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > MAX_LEXEMES) return `there are more than ${MAX_LEXEMES / 3} values`;
    if (before !== SCALAR && (lexeme === '[' || lexeme === '{')) open += 1;
    else if (before !== SCALAR && (lexeme === ']' || lexeme === '}')) open -= 1;
    if (open > MAX_DEPTH) return tooDeep;
    before = lexeme;
  }
  const waiting: { token: CST.Token; depth: number }[] = [];
  for (const token of new Parser().parse(text)) waiting.push({ token, depth: 0 });
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { token, depth } = next;
    if (depth > MAX_DEPTH) return tooDeep;
    if (token.type === 'document') {
      if (token.value !== undefined) waiting.push({ token: token.value, depth });
    } else if ('items' in token) {
      if (token.items.length > MAX_KEYS && token.items[1]?.sep !== undefined) {
        return `a map has more than ${MAX_KEYS} keys`;
      }
      for (const { key, value } of token.items) {
        if (key != null) waiting.push({ token: key, depth: depth + 1 });
        if (value !== undefined) waiting.push({ token: value, depth: depth + 1 });
      }
    }
  }
  return null;
}

export class SweepDocument {
  readonly faults: readonly SyntaxFault[];
  private readonly document: Document.Parsed;
  private readonly lines = new LineCounter();
  private readonly overrides = new Map<string, string>();

  /** @param text within {@link MAX_FILE_BYTES} and not {@link oversize} */
  constructor(text: string) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false, stringKeys: true });
    this.faults = [...this.document.errors, ...this.document.warnings].map((fault) => ({
      message: fault.code === 'NON_STRING_KEY' ? 'a key must be text, not a list or a map' : fault.message,
      span: { begin: fault.pos[0], end: fault.pos[1] },
      mild: fault.code === 'DUPLICATE_KEY',
    }));
  }

  /** The first alias that no anchor stands before, or null. */
  danglingAlias(): { readonly name: string; readonly span: Span | null } | null {
    const anchors = new Set<string>();
    let found: Alias | null = null;
    visit(this.document, (_key, node) => {
      if (isAlias(node) && !anchors.has(node.source)) {
        found = node;
        return visit.BREAK;
      }
      if (isNode(node) && !isAlias(node) && node.anchor !== undefined) anchors.add(node.anchor);
      return undefined;
    });
    const alias = found as Alias | null;
    return alias === null ? null : { name: alias.source, span: spanOf(alias) };
  }

  /** The content as plain JavaScript values. @throws ReferenceError for a dangling alias, or too many of aliases */
  toValue(): unknown {
    return this.document.toJS({ maxAliasCount: MAX_ALIASES });
  }

  /** Line and column of an offset, 1-based. */
  position(offset: number): { readonly line: number; readonly column: number } {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Offset at which a line (1-based) begins. */
  lineStart(line: number): number {
    return this.lines.lineStarts[line - 1] ?? 0;
  }

  /**
   * Applies `KEY=VALUE`: the key a path such as `sweep.batch_size` or `cases.0.lr_peak`, the value YAML. An empty value
   * removes the key. Returns what is wrong with it, or null.
   */
  override(override: string): OverrideFault | null {
    const fault = (message: string): OverrideFault => ({ override, message });
    const equals = override.indexOf('=');
    if (equals < 1) return fault('an override reads KEY=VALUE, e.g. sweep.batch_size=[32, 64]');
    const text = override.slice(equals + 1).trim();
    if (Buffer.byteLength(text) > MAX_FILE_BYTES || oversize(text) !== null)
      return fault('the value is too large');
    const value = parseDocument(text, { prettyErrors: false });
    const [error] = [...value.errors, ...value.warnings];
    if (error !== undefined) return fault(`the value is not YAML: ${error.message}`);
    const steps = override
      .slice(0, equals)
      .trim()
      .replaceAll(/\[(\d+)\]/g, '.$1')
      .split('.');
    if (steps.includes('')) return fault('the key has an empty part');
    const path = this.resolve(steps);
    if (path.some((step) => !Number.isInteger(step) && typeof step === 'number')) {
      return fault(`there is no entry \`${steps.join('.')}\` in that list`);
    }
    this.expandShortForm(path);
    try {
      if (value.contents === null || (isScalar(value.contents) && value.contents.value === null)) {
        this.document.deleteIn(path);
      } else this.document.setIn(path, this.document.createNode(value.toJS({ maxAliasCount: MAX_ALIASES })));
    } catch {
      return fault(
        `\`${pathText(path.slice(0, -1))}\` is not a map or a list in which \`${pathText(path.slice(-1))}\` could stand`,
      );
    }
    this.overrides.set(JSON.stringify(path), override);
    return null;
  }

  /** The override that gave the value at `path`, or null. */
  overrideOf(path: Path): string | null {
    for (let length = path.length; length > 0; length -= 1) {
      const found = this.overrides.get(JSON.stringify(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Where the key or the value at `path` stands; the nearest holder of it when it is missing. */
  span(path: Path, part: 'key' | 'value'): Span | null {
    let node: unknown = this.document.contents;
    let span = spanOf(node);
    for (const [index, step] of path.entries()) {
      const last = index === path.length - 1;
      const collection = isAlias(node) ? node.resolve(this.document) : node;
      let key: unknown = null;
      if (isMap(collection)) {
        const pair = collection.items.find((item) => keyText(item.key) === String(step));
        if (pair === undefined) return span;
        key = pair.key;
        node = pair.value;
      } else if (isSeq(collection)) node = collection.items[Number(step)];
      else return span;
      span = (last && part === 'key' ? spanOf(key) : spanOf(node)) ?? spanOf(key) ?? span;
    }
    return span;
  }

  /** Joins steps that together name an existing key with dots in it; numbers index lists, NaN where there is no such entry. */
  private resolve(steps: readonly string[]): (string | number)[] {
    const path: (string | number)[] = [];
    let node: unknown = this.document.contents;
    for (let index = 0; index < steps.length;) {
      let taken = 1;
      if (isMap(node)) {
        for (let length = steps.length - index; length > 1; length -= 1) {
          if (node.has(steps.slice(index, index + length).join('.'))) {
            taken = length;
            break;
          }
        }
      }
      const name = steps.slice(index, index + taken).join('.');
      const step = isSeq(node) ? indexIn(node.items.length, name) : name;
      path.push(step);
      node = isMap(node) || isSeq(node) ? node.get(step, true) : null;
      index += taken;
    }
    return path;
  }

  /** `stopping: asha` becomes `stopping: { rule: asha }` before a key of it is set. */
  private expandShortForm(path: Path): void {
    const [first] = path;
    if (path.length < 2 || (first !== 'stopping' && first !== 'search')) return;
    const short = this.document.get(first, true);
    if (!isScalar(short) || typeof short.value !== 'string') return;
    this.document.set(
      first,
      this.document.createNode({ [first === 'search' ? 'method' : 'rule']: short.value }),
    );
  }
}

/** An entry of a list, or the place behind its last one. */
const indexIn = (length: number, text: string): number =>
  /^\d+$/.test(text) && Number(text) <= length ? Number(text) : NaN;

const keyText = (key: unknown): string =>
  isScalar(key) ? String(key.value) : isNode(key) ? key.toString() : String(key);

const spanOf = (node: unknown): Span | null => {
  if (!isNode(node)) return null;
  const { range } = node as Node;
  return range == null ? null : { begin: range[0], end: range[1] };
};
