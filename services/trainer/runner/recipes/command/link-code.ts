/** Shows a program its code where it runs, without a copy: many attempts share one unpacked folder, which none may change. */
import { mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { WattsweepError } from '../../../../../proto/errors.js';
import type { AttemptSpec } from '../../../protocol/runner.js';

/**
 * Links everything of the code into `workDir`. Down to `code.folder`, where the program runs, folders are the attempt's own:
 * what it writes beside its code is its own, too.
 *
 * @throws PARAMETER_REFUSED when the code has no such folder
 */
export function linkCode({ dir, folder }: NonNullable<AttemptSpec['code']>, workDir: string): void {
  const steps = folder === '' ? [] : folder.split('/');
  let from = dir;
  let to = workDir;
  for (const step of [...steps, null]) {
    for (const name of readdirSync(from)) if (name !== step) symlinkSync(join(from, name), join(to, name));
    if (step === null) return;
    from = join(from, step);
    to = join(to, step);
    if (statSync(from, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new WattsweepError('PARAMETER_REFUSED', `workdir: the code has no folder ${folder}`);
    mkdirSync(to);
  }
}
