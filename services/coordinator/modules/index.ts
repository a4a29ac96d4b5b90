/**
 * Users' own search methods and stopping rules: which files there are, what they hash to, and the threads in which they run.
 * What is asked of them, and what becomes of their answers, is the core's (`core/own-modules.ts`).
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import { isProvided, ModuleFault, provideModule, type ModuleRef, type SweepSpec } from '../core/index.js';
import { Sandbox } from './sandbox.js';

const MAX_BYTES = 256 * 1024;

const hashOf = (source: string): string => createHash('sha256').update(source).digest('hex');

/** A folder of modules that the operator allows; without one, none runs. */
export class ModuleFolder {
  readonly #folder: string;

  /** @throws FILE_UNREADABLE when there is no such folder */
  constructor(folder: string) {
    try {
      this.#folder = realpathSync(folder);
      if (!statSync(this.#folder).isDirectory()) throw new Error('it is no folder');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new WattsweepError('FILE_UNREADABLE', `the folder of modules ${folder}: ${why}`, {
        cause: error,
      });
    }
  }

  /**
   * Makes every module of the folder known by its hash, so that sweeps of before go on, also with one that has been put
   * back meanwhile. Code runs only when asked.
   */
  provideAll(): void {
    for (const name of this.#names()) {
      try {
        this.#provide(this.#read(name));
      } catch (error) {
        if (!(error instanceof WattsweepError)) throw error;
      }
    }
  }

  #names(): readonly string[] {
    try {
      const names = readdirSync(this.#folder, { recursive: true, encoding: 'utf8' });
      return names.filter((name) => name.endsWith('.mjs'));
    } catch {
      // A folder that is gone has no modules; a sweep that needs one says so.
      return [];
    }
  }

  /** The reference with the hash of the module's text, which has been loaded once. @throws MODULE_INVALID */
  load(ref: ModuleRef, needed: 'judge' | 'propose'): ModuleRef {
    const source = this.#read(ref.module);
    const sandbox = this.#provide(source);
    try {
      const names = sandbox === null ? [needed] : sandbox.names;
      if (!names.includes(needed)) throw new ModuleFault(`it exports no function \`${needed}\``);
    } catch (error) {
      if (!(error instanceof ModuleFault)) throw error;
      throw new WattsweepError('MODULE_INVALID', `the module ${ref.module}: ${error.message}`, {
        cause: error,
      });
    }
    return { ...ref, hash: hashOf(source) };
  }

  readonly #sandboxes = new Map<string, Sandbox>();

  #provide(source: string): Sandbox | null {
    const hash = hashOf(source);
    const known = this.#sandboxes.get(hash);
    if (known !== undefined || isProvided({ hash })) return known ?? null;
    const sandbox = new Sandbox(source);
    this.#sandboxes.set(hash, sandbox);
    provideModule(hash, sandbox);
    return sandbox;
  }

  #read(name: string): string {
    const fail = (why: string): never => {
      throw new WattsweepError('MODULE_INVALID', `the module ${name}: ${why}`);
    };
    if (isAbsolute(name)) fail('its path is absolute; it is seen from the folder of modules');
    let path: string;
    try {
      path = realpathSync(join(this.#folder, name));
    } catch {
      return fail(`there is no such file in the coordinator's folder of modules`);
    }
    const inside = relative(this.#folder, path);
    if (inside.startsWith('..') || isAbsolute(inside)) fail('it lies outside of the folder of modules');
    if (!path.endsWith('.mjs')) fail('its name does not end in .mjs');
    const stats = statSync(path);
    if (!stats.isFile()) fail('it is no file');
    if (stats.size > MAX_BYTES) fail(`it has more than ${MAX_BYTES} bytes`);
    return readFileSync(path, 'utf8');
  }
}

/** The modules that a sweep names. */
export const modulesOf = ({ search, stopping }: SweepSpec): ModuleRef[] => [
  ...(search.method === 'module' ? [search.ref] : []),
  ...(stopping.rule === 'module' ? [stopping.ref] : []),
];

/** The spec with the hashes of its modules. @throws MODULE_NOT_ALLOWED, MODULE_INVALID */
export function withModules(spec: SweepSpec, folder: ModuleFolder | null): SweepSpec {
  const [first] = modulesOf(spec);
  if (first === undefined) return spec;
  if (folder === null)
    throw new WattsweepError('MODULE_NOT_ALLOWED', `the sweep names the module ${first.module}`);
  const { search, stopping } = spec;
  return {
    ...spec,
    search: search.method === 'module' ? { ...search, ref: folder.load(search.ref, 'propose') } : search,
    stopping:
      stopping.rule === 'module' ? { ...stopping, ref: folder.load(stopping.ref, 'judge') } : stopping,
  };
}

/** @throws MODULE_MISSING when the text of one of the sweep's modules is not here as it was */
export function requireModules(spec: SweepSpec): void {
  const missing = modulesOf(spec).find((ref) => !isProvided(ref));
  if (missing === undefined) return;
  throw new WattsweepError(
    'MODULE_MISSING',
    `the sweep was decided by ${missing.module} as sha256 ${missing.hash.slice(0, 12)}; no module here has that text`,
  );
}
