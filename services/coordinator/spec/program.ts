/** What stands beside a `command`: the folder that is shipped, where it runs, what it is wrapped in, how it is heard. */
import type { CodeSpec, CollectSpec, ProgramSetup } from '../core/program.js';
import type { Path } from './document.js';
import { oneOf, show, type Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';
import { checkTemplates, templatesOf, type Declared, type Template } from './templates.js';

type Keys = Pick<PartialSweepFile, 'workdir' | 'wrap' | 'requires' | 'collect'>;
type CollectKeys = NonNullable<Keys['collect']>;

/** Keys that stand beside a `command`, in the sweep or in a variant. */
export const SETUP_KEYS = [
  'workdir',
  'wrap',
  'requires',
  'collect',
] as const satisfies readonly (keyof Keys)[];
const COLLECTORS = ['regex', 'keras_csv', 'tensorboard'] as const satisfies readonly (keyof CollectKeys)[];

/** The place of the command's own words among those of `wrap`. */
export const COMMAND_PLACE = '{command}';

export interface SetupContext {
  /** Of the sweep (`[]`), or of a variant. */
  readonly path: Path;
  /** What runs, when it is no command; null for a command. */
  readonly recipe: string | null;
  /** The objective's metric; null when it is not known. */
  readonly metric: string | null;
  readonly problems: Problems;
}

/** Reads the keys, and checks them as far as they hang on nothing else. */
export function readSetup(keys: Keys, context: SetupContext): ProgramSetup {
  const { path, recipe, problems } = context;
  const given = SETUP_KEYS.filter((key) => keys[key] !== undefined);
  if (recipe !== null) {
    for (const key of given)
      problems.add({
        code: 'SPEC_VALUE',
        path: [...path, key],
        part: 'key',
        message: `\`${key}\` stands beside the recipe ${recipe}`,
        expected: 'a `command`, which it is for',
      });
    return {};
  }
  const { workdir, wrap, requires, collect } = keys;
  return {
    ...(workdir === undefined ? {} : { workdir }),
    ...(wrap === undefined ? {} : { wrap: readWrap(wrap.map(String), context) }),
    ...(requires === undefined
      ? {}
      : {
          requires: requires.map(({ path: file, sha256 }) => ({
            path: file,
            sha256: sha256?.toLowerCase() ?? null,
          })),
        }),
    ...(collect === undefined ? {} : readCollect(collect, context)),
  };
}

function readWrap(wrap: readonly string[], { path, problems }: SetupContext): readonly string[] {
  const places = wrap.filter((word) => word === COMMAND_PLACE).length;
  if (places === 1) return wrap;
  const isInside = places === 0 && wrap.some((word) => word.includes(COMMAND_PLACE));
  problems.add({
    code: 'SPEC_VALUE',
    path: [...path, 'wrap'],
    message: isInside
      ? `\`${COMMAND_PLACE}\` stands inside of a word`
      : `\`${COMMAND_PLACE}\` stands there ${places === 0 ? 'nowhere' : 'more than once'}`,
    expected: `one word that is \`${COMMAND_PLACE}\`: the command's words take its place`,
    suggestion: places === 0 && !isInside ? show([...wrap, COMMAND_PLACE]) : null,
  });
  return wrap;
}

function readCollect(collect: CollectKeys, context: SetupContext): { readonly collect?: CollectSpec } {
  const { metric, problems } = context;
  const path = [...context.path, 'collect'];
  const given = COLLECTORS.filter((key) => collect[key] !== undefined);
  if (given.length !== 1) {
    // What was there may have been taken out as a fault of its own.
    if (given.length === 0 && problems.count > 0) return {};
    const message = given.length === 0 ? 'nothing says from what' : `${given.join(' and ')} stand together`;
    problems.add({ code: 'SPEC_VALUE', path, message, expected: oneOf(COLLECTORS) });
    return {};
  }
  const { regex, keras_csv: kerasCsv, tensorboard } = collect;
  if (regex !== undefined) {
    checkPattern(regex, metric, [...path, 'regex'], problems);
    return { collect: { regex } };
  }
  if (kerasCsv !== undefined) return { collect: { kerasCsv } };
  if (tensorboard === undefined) return {};
  if (metric !== null && !Object.hasOwn(tensorboard.metrics, metric))
    problems.add({
      code: 'SPEC_VALUE',
      path: [...path, 'tensorboard', 'metrics'],
      message: `the objective ${metric} is not among them`,
      expected: `the tag of ${metric}, e.g. { ${metric}: validation/epoch_accuracy }`,
    });
  return { collect: { tensorboard } };
}

/** Python writes a named group as `(?P<name>...)`, JavaScript as `(?<name>...)`: both may stand there. */
const asJavaScript = (pattern: string): string => pattern.replaceAll('(?P<', '(?<');

function checkPattern(pattern: string, metric: string | null, path: Path, problems: Problems): void {
  const add = (message: string, expected: string): void =>
    problems.add({ code: 'SPEC_VALUE', path, message, expected });
  let groups: readonly string[];
  try {
    // Beside an empty alternative it matches anything, and so tells its groups.
    groups = Object.keys(new RegExp(`${asJavaScript(pattern)}|`).exec('')?.groups ?? {});
  } catch (error) {
    add(error instanceof Error ? error.message : String(error), 'a regular expression');
    return;
  }
  if (metric !== null && !groups.includes(metric))
    add(
      groups.length === 0 ? 'it has no named group' : `its groups are ${groups.join(', ')}`,
      `a group for the objective, (?<${metric}>...)`,
    );
}

/** Every `{name}` of it must be a parameter of every point, or what the box fills in. */
export function checkSetupTemplates(
  { workdir, wrap = [], collect }: ProgramSetup,
  declared: Declared,
  path: Path,
  problems: Problems,
): void {
  const templates: Template[] = templatesOf(wrap, [...path, 'wrap']).filter(
    ({ text }) => !text.includes(COMMAND_PLACE),
  );
  if (workdir !== undefined) templates.push({ text: workdir, path: [...path, 'workdir'] });
  if (collect !== undefined && 'kerasCsv' in collect)
    templates.push({ text: collect.kerasCsv, path: [...path, 'collect', 'keras_csv'] });
  if (collect !== undefined && 'tensorboard' in collect)
    templates.push({ text: collect.tensorboard.folder, path: [...path, 'collect', 'tensorboard', 'folder'] });
  checkTemplates(templates, 'surroundings', declared, problems);
}

/** @param runsCommand some program of the sweep is a command */
export function readCode(
  { code }: PartialSweepFile,
  runsCommand: boolean,
  problems: Problems,
): { readonly code?: CodeSpec } {
  if (code === undefined) return {};
  if (!runsCommand)
    problems.add({
      code: 'SPEC_VALUE',
      path: ['code'],
      part: 'key',
      message: 'nothing of the sweep would see the code: a recipe has its own',
      expected: 'a `command`, which it is for',
    });
  return { code: { folder: code, sha256: '' } };
}
