/**
 * dist/ mirrors the tree: each .ts file becomes one .js file (esbuild, no bundling), each other file that the code reads
 * at run time is copied, so a path relative to a module means the same in both places.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isClone, projectRoot } from '../lib/layout.mjs';
import { SetupError } from '../lib/errors.mjs';
import { withLock } from '../lib/lock.mjs';
import { progress, progressEnds } from '../lib/say.mjs';
import { cloneLock } from './modules.mjs';

const FOLDERS = ['proto', 'services', 'client', 'cli', 'setup'];
const NOT_COPIED = new Set(['.md', '.tsbuildinfo', '.map', '.tmp']);
const STAMP = '.stamp.json';

/** @typedef {Record<string, [mtimeMs: number, size: number]>} Sources */

/** @param {string} file */
const isCode = (file) => file.endsWith('.ts');

/** @param {string} file */
function belongs(file) {
  if (/\.test\.ts$|\.d\.m?ts$|(^|\/)(\.|node_modules\/)/.test(file)) return false;
  return !NOT_COPIED.has(extname(file));
}

/**
 * @param {string} root
 * @returns {Sources} by path below the root
 */
function listSources(root) {
  /** @type {Sources} */
  const found = {};
  const visit = (/** @type {string} */ folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && !entry.name.startsWith('.')) visit(path);
      } else if (entry.isFile() && belongs(path)) {
        const stat = statSync(join(root, path), { throwIfNoEntry: false });
        if (stat) found[path] = [stat.mtimeMs, stat.size];
      }
    }
  };
  for (const folder of FOLDERS) if (existsSync(join(root, folder))) visit(folder);
  return found;
}

/** A changed recipe or compiler rebuilds everything. */
function recipe() {
  const own = readFileSync(fileURLToPath(import.meta.url));
  const esbuild = createRequire(import.meta.url)('esbuild/package.json').version;
  return createHash('sha256').update(own).update(esbuild).digest('hex').slice(0, 12);
}

/** @param {string} source */
const outputOf = (source) => (isCode(source) ? source.slice(0, -3) + '.js' : source);

/**
 * Readers may be running from dist/, so each file appears by one rename.
 * @param {string} file
 * @param {(temporary: string) => void} write
 */
function replace(file, write) {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  write(temporary);
  renameSync(temporary, file);
}

/**
 * @param {string} root
 * @param {readonly string[]} files
 */
async function transpile(root, files) {
  if (files.length === 0) return;
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: root,
    entryPoints: [...files],
    outdir: 'dist',
    outbase: '.',
    bundle: false,
    write: false,
    format: 'esm',
    platform: 'node',
    // 20.10 is the first with import attributes, which the JSON of recipes needs.
    target: 'node20.10',
    sourcemap: true,
    sourcesContent: false,
    tsconfigRaw: { compilerOptions: { target: 'ES2022', verbatimModuleSyntax: true } },
    logLevel: 'silent',
  }).catch((error) => {
    const first = error.errors?.[0];
    const where = first?.location
      ? `${first.location.file}:${first.location.line}:${first.location.column}: `
      : '';
    throw new SetupError(
      'SETUP_BUILD',
      `The sources could not be compiled: ${where}${first?.text ?? error.message}.`,
      'Mend the file and run it again.',
      { cause: error },
    );
  });
  for (const output of result.outputFiles)
    replace(output.path, (temporary) => writeFileSync(temporary, output.contents));
}

/** What the client is typed by: programs import it. @param {string} file */
const isOfClient = (file) =>
  /^(client\/|proto\/(errors|grpc|gen\/)).*\.ts$/.test(file) && !file.endsWith('.gen.ts');

/**
 * Writes the declarations of each file by itself; whether they are right, `tsc` says in the checks.
 * @param {string} root
 * @param {readonly string[]} files
 */
async function declare(root, files) {
  if (files.length === 0) return;
  const { default: ts } = await import('typescript');
  const compilerOptions = { declaration: true, strict: true, target: ts.ScriptTarget.ES2022 };
  for (const file of files) {
    const { outputText } = ts.transpileDeclaration(readFileSync(join(root, file), 'utf8'), {
      fileName: file,
      compilerOptions,
    });
    const output = join(root, 'dist', `${file.slice(0, -3)}.d.ts`);
    replace(output, (temporary) => writeFileSync(temporary, outputText));
  }
}

/**
 * Brings dist/ up to date with the sources; does nothing in an installed package.
 * @returns {Promise<string>} the dist folder
 */
export async function ensureBuild() {
  const root = projectRoot();
  const dist = join(root, 'dist');
  if (!isClone(root)) return dist;
  const stampFile = join(dist, STAMP);
  const wantedRecipe = recipe();
  const state = () => {
    const sources = listSources(root);
    /** @type {Sources} */
    let built = {};
    try {
      const stamp = JSON.parse(readFileSync(stampFile, 'utf8'));
      if (stamp.recipe === wantedRecipe) built = stamp.sources;
    } catch {
      // Never built.
    }
    const changed = Object.keys(sources).filter((path) => String(built[path]) !== String(sources[path]));
    const gone = Object.keys(built).filter((path) => !(path in sources));
    return { sources, changed, gone };
  };
  const stale = ({ changed, gone } = state()) => changed.length + gone.length > 0;
  if (!stale()) return dist;
  await withLock(cloneLock(root), async () => {
    const now = state();
    if (!stale(now)) return;
    progress('build', `${now.changed.length} files`);
    for (const path of now.gone) {
      rmSync(join(dist, `${path.slice(0, -3)}.d.ts`), { force: true });
      for (const suffix of ['', '.map']) rmSync(join(dist, outputOf(path) + suffix), { force: true });
    }
    await transpile(root, now.changed.filter(isCode)).finally(() => progressEnds('build'));
    await declare(root, now.changed.filter(isOfClient));
    for (const path of now.changed.filter((file) => !isCode(file))) {
      replace(join(dist, path), (temporary) => copyFileSync(join(root, path), temporary));
    }
    replace(stampFile, (temporary) =>
      writeFileSync(temporary, JSON.stringify({ recipe: wantedRecipe, sources: now.sources })),
    );
  });
  return dist;
}
