#!/usr/bin/env node
/**
 * Set-up: makes sure that what a command needs is there. When all is, it takes a fraction of a second and no network.
 *
 *   node setup/ready.mjs [--only=modules,build,engine,nats,cifar10,prometheus,chromium] [--gpu|--no-gpu]
 *                        [--nats-server=PATH] [--verify] [--quiet]
 *
 * Everything but node_modules and dist/ goes into one cache, see `locate.mjs`.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SetupError, runMain } from './lib/errors.mjs';
import { say, setQuiet } from './lib/say.mjs';

/** @typedef {'modules' | 'build' | 'engine' | 'nats' | 'cifar10' | 'prometheus' | 'chromium'} Need */
/** @typedef {{gpu?: boolean, natsServer?: string, verify?: boolean}} Options */

/**
 * Each piece is loaded when it is needed: a fresh start should not parse what it will not run.
 * @type {Record<Need, (options: Options) => Promise<unknown>>}
 */
const PIECES = {
  modules: async () => (await import('./pieces/modules.mjs')).ensureModules(),
  build: async () => (await import('./pieces/build.mjs')).ensureBuild(),
  engine: async (options) => (await import('./pieces/engine.mjs')).ensureEngine(options),
  nats: async (options) => (await import('./pieces/nats.mjs')).ensureNats(options),
  cifar10: async (options) => (await import('./pieces/cifar10.mjs')).ensureCifar10(options),
  prometheus: async (options) => (await import('./pieces/debian.mjs')).ensurePrometheus(options),
  chromium: async (options) => (await import('./pieces/debian.mjs')).ensureChromium(options),
};

/** What running a sweep needs, and what the tests need beside it. */
export const RUN_NEEDS = /** @type {const} */ (['modules', 'build', 'engine', 'nats', 'cifar10']);
export const TEST_NEEDS = /** @type {const} */ ([...RUN_NEEDS, 'prometheus']);

/** The build needs the compiler and CIFAR-10 a PNG reader from node_modules; the rest goes on side by side with npm. */
const NEEDS_MODULES = new Set(['build', 'cifar10']);

const MINIMUM_NODE = 20;

/**
 * @param {Options & {need: readonly Need[], quiet?: boolean}} options
 * @returns {Promise<Partial<Record<Need, unknown>>>} where each piece is
 */
export async function ready({ need, quiet = false, ...options }) {
  setQuiet(quiet);
  if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
    throw new SetupError(
      'SETUP_NODE',
      `Node.js ${process.versions.node} is too old.`,
      `Install Node.js ${MINIMUM_NODE} or newer.`,
    );
  }
  if (process.platform === 'win32') {
    throw new SetupError('SETUP_PLATFORM', 'Windows itself is not supported.', 'Use WSL 2.');
  }
  /** @type {Partial<Record<Need, unknown>>} */
  const places = {};
  const modules = need.includes('modules') ? PIECES.modules(options) : Promise.resolve();
  const results = await Promise.allSettled(
    need.map(async (name) => {
      if (name === 'modules') return modules;
      if (NEEDS_MODULES.has(name)) await modules;
      return PIECES[name](options);
    }),
  );
  /** @type {unknown[]} */
  const failures = [];
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') places[/** @type {Need} */ (need[index])] = result.value;
    else if (!failures.includes(result.reason)) failures.push(result.reason);
  }
  // The first is thrown; the others would otherwise be seen only after it is mended.
  for (const failure of failures.slice(1))
    say(failure instanceof SetupError ? failure.report : String(failure));
  if (failures.length > 0) throw failures[0];
  return places;
}

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      gpu: { type: 'boolean' },
      'no-gpu': { type: 'boolean' },
      'nats-server': { type: 'string' },
      verify: { type: 'boolean' },
      quiet: { type: 'boolean' },
    },
  });
  const need = /** @type {Need[]} */ (values.only?.split(',') ?? [...RUN_NEEDS]);
  const unknown = need.find((name) => !(name in PIECES));
  if (unknown)
    throw new SetupError(
      'USAGE',
      `There is no piece "${unknown}".`,
      `The pieces are ${Object.keys(PIECES).join(', ')}.`,
    );
  const gpu = values.gpu ? true : values['no-gpu'] ? false : undefined;
  await ready({
    need,
    quiet: values.quiet ?? false,
    verify: values.verify ?? false,
    ...(gpu === undefined ? {} : { gpu }),
    ...(values['nats-server'] ? { natsServer: values['nats-server'] } : {}),
  });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await runMain(main);
