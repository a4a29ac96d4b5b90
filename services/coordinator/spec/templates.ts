/** Texts whose `{places}` are filled: of a command by parameters, of what surrounds it by what the box knows, too. */
import type { Path } from './document.js';
import { nearest, oneOf, type Problems } from './problems.js';

/** What every attempt has, beside parameters. */
const OF_THE_ATTEMPT: readonly string[] = ['seed', 'max_epochs'];
/** Of use around a command only. */
const OF_THE_BOX: readonly string[] = [
  'workdir',
  'attempt_dir',
  'checkpoint_dir',
  'code_dir',
  'env_file',
  'gpus',
];
const FILLED = { command: OF_THE_ATTEMPT, surroundings: [...OF_THE_ATTEMPT, ...OF_THE_BOX] } as const;

export interface Template {
  readonly text: string;
  readonly path: Path;
}

export const templatesOf = (words: readonly string[], path: Path): readonly Template[] =>
  words.map((text, index) => ({ text, path: [...path, index] }));

/** Parameters of every point: by case, or by point of a list. */
export interface Declared {
  readonly names: readonly ReadonlySet<string>[];
  /** What the sets are of, e.g. `cases`. */
  readonly holder: string;
}

/** Every `{name}` must be a parameter of every point, or what the box fills in. */
export function checkTemplates(
  templates: readonly Template[],
  of: keyof typeof FILLED,
  { names: declared, holder }: Declared,
  problems: Problems,
): void {
  const filled: readonly string[] = FILLED[of];
  for (const { text, path } of templates) {
    // `{{` and `}}` are the braces themselves.
    for (const match of text.matchAll(/\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}/g)) {
      const name = match[1];
      if (name === undefined || filled.includes(name)) continue;
      const lacking = declared.findIndex((names) => !names.has(name));
      if (lacking < 0) continue;
      const names = [...(declared[lacking] ?? []), ...(of === 'command' ? [] : OF_THE_BOX)];
      const isKnown = declared.some((set) => set.has(name));
      const message = isKnown
        ? `\`{${name}}\` has no value in ${holder}[${lacking}]`
        : `\`{${name}}\` names no parameter of this sweep`;
      const near = isKnown ? null : nearest(name, names);
      problems.add({
        code: 'SPEC_VALUE',
        path,
        offset: match.index,
        message,
        expected: names.length === 0 ? 'a parameter under `fixed`, `sweep` or `cases`' : oneOf(names),
        suggestion: near === null ? null : `{${near}}`,
      });
    }
  }
}
