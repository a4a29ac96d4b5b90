/**
 * The sweep file: YAML in, a complete and checked `SweepSpec` out, or an error that names every fault with its line,
 * column and remedy; and the plan, which says what a sweep would run. Here lives all that knows how a sweep is
 * written. What a sweep does is the core's (`../core`).
 */
import type { SweepSpec } from '../core/spec.js';
import { buildSpec } from './build.js';
import { MAX_FILE_BYTES, oversize, SweepDocument } from './document.js';
import { checkPlain } from './plain.js';
import { Problems } from './problems.js';
import { checkShape } from './shape-check.js';

export { compareSpecs, differenceText, type SpecDifference } from './compare.js';
export { SweepFileError, type SpecIssue } from './errors.js';
export { planSweep, type EpochCost, type Plan, type PlanOptions } from './plan.js';

export interface ParseOptions {
  /** Name of the file, for messages. @default 'sweep.yaml' */
  readonly file?: string;
  /** `KEY=VALUE` each, applied in order before anything is checked. @default [] */
  readonly overrides?: readonly string[];
}

export interface ParsedSweep {
  readonly spec: SweepSpec;
  /** What will probably go wrong, with the place. */
  readonly warnings: readonly string[];
}

const MAX_OVERRIDES = 1_000;

/** Bytes of file and spec together: both are recorded in one message of the ledger, of 1 MiB at most. */
const MAX_RECORDED_BYTES = 1_000_000;

/**
 * Reads and checks a sweep file.
 *
 * @param text YAML 1.2; a byte order mark and CRLF are fine
 * @throws SweepFileError with every fault that was found
 */
export function parseSweepFile(text: string, options: ParseOptions = {}): ParsedSweep {
  const { file = 'sweep.yaml', overrides = [] } = options;
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const problems = new Problems(file, source);
  const tooLarge = (message: string): void => {
    problems.addAt('SPEC_TOO_LARGE', message, null);
    problems.throwIfAny();
  };
  const bytes = Buffer.byteLength(source);
  if (bytes > MAX_FILE_BYTES) tooLarge(`the file has ${bytes} bytes; ${MAX_FILE_BYTES} are allowed`);
  const overriding = overrides.reduce((sum, override) => sum + Buffer.byteLength(override), 0);
  if (overriding > MAX_FILE_BYTES)
    tooLarge(`the overrides have ${overriding} bytes; ${MAX_FILE_BYTES} are allowed`);
  if (overrides.length > MAX_OVERRIDES)
    tooLarge(`there are ${overrides.length} overrides; ${MAX_OVERRIDES} are allowed`);
  const reason = oversize(source);
  if (reason !== null) tooLarge(reason);
  const content = readContent(source, overrides, problems);
  const spec = buildSpec(checkShape(content, problems), content, problems);
  problems.throwIfAny();
  if (spec === null) throw new Error('a sweep file without a fault gave no spec');
  const recorded = bytes + Buffer.byteLength(JSON.stringify(spec));
  if (recorded > MAX_RECORDED_BYTES)
    tooLarge(`the file and what it expands to have ${recorded} bytes; ${MAX_RECORDED_BYTES} are allowed`);
  return { spec, warnings: problems.warnings };
}

function readContent(
  source: string,
  overrides: readonly string[],
  problems: Problems,
): Record<string, unknown> {
  const document = new SweepDocument(source);
  problems.locateIn(document);
  for (const { message, span } of document.faults) problems.addAt('SPEC_SYNTAX', message, span);
  if (document.faults.some(({ mild }) => !mild)) problems.throwIfAny();
  for (const override of overrides) {
    const fault = document.override(override);
    if (fault !== null) problems.addOverride(override, fault.message);
  }
  const value = valueOf(document, problems);
  const before = problems.count;
  checkPlain(value, problems);
  if (problems.count > before) problems.throwIfAny();
  if (value === null || value === undefined) {
    problems.addAt(
      'SPEC_MISSING_KEY',
      'the sweep file is empty; it needs name, recipe, objective and max_epochs',
      null,
    );
  } else if (typeof value !== 'object' || Array.isArray(value)) {
    problems.addAt('SPEC_TYPE', 'the sweep file is not a map of `key: value`', { begin: 0, end: 1 });
  } else return { ...value };
  problems.throwIfAny();
  return {};
}

function valueOf(document: SweepDocument, problems: Problems): unknown {
  try {
    return document.toValue();
  } catch (error) {
    const dangling = document.danglingAlias();
    if (dangling === null) {
      const why = error instanceof Error ? error.message : '';
      problems.addAt('SPEC_TOO_LARGE', `aliases multiply too much: ${why}`, null);
    } else
      problems.addAt(
        'SPEC_SYNTAX',
        `no anchor \`&${dangling.name}\` stands before this alias`,
        dangling.span,
      );
    problems.throwIfAny();
    throw error;
  }
}
