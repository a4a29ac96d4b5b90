/** Places of a command that parameters fill. */
import type { Path } from './document.js';
import { nearest, oneOf, type Problems } from './problems.js';

/** Every `{name}` of the command must be a parameter of every point. */
export function checkTemplates(
  command: readonly string[],
  declared: readonly ReadonlySet<string>[],
  holder: string,
  path: Path,
  problems: Problems,
): void {
  for (const [index, argument] of command.entries()) {
    for (const match of argument.matchAll(/\{([A-Za-z_][A-Za-z0-9_.-]*)\}/g)) {
      const name = match[1] ?? '';
      const lacking = declared.findIndex((names) => !names.has(name));
      if (lacking < 0) continue;
      const names = [...(declared[lacking] ?? [])];
      const isKnown = declared.some((set) => set.has(name));
      const message = isKnown
        ? `\`{${name}}\` has no value in ${holder}[${lacking}]`
        : `\`{${name}}\` names no parameter of this sweep`;
      const near = isKnown ? null : nearest(name, names);
      problems.add({
        code: 'SPEC_VALUE',
        path: [...path, index],
        offset: match.index,
        message,
        expected: names.length === 0 ? 'a parameter under `fixed`, `sweep` or `cases`' : oneOf(names),
        suggestion: near === null ? null : `{${near}}`,
      });
    }
  }
}
