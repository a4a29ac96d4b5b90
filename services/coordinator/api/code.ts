/** UploadCode, and what a submission says of its code. */
import { createHash } from 'node:crypto';
import { isCodeHash, MOST_CODE_BYTES, MOST_DIFF_BYTES } from '../../../proto/code.js';
import { WattsweepError } from '../../../proto/errors.js';
import type {
  PackedCode,
  UploadCodeRequest,
  UploadCodeResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { GitState, SweepSpec } from '../core/index.js';

/** Where code is put. Each throws NATS_UNREACHABLE. */
export interface CodeStore {
  has(sha256: string): Promise<boolean>;
  totalBytes(): Promise<number>;
  /** Of a piece that it takes. */
  readonly pieceBytes: number;
  create(ledgerId: string): {
    write(piece: Uint8Array): Promise<void>;
    finish(sha256: string): Promise<void>;
    abandon(): Promise<void>;
  };
}

/** All code together: NATS is for the ledger first. */
const MOST_STORED_BYTES = 4 * 1024 ** 3;
const MIB = 1024 * 1024;

/** @throws CODE_REFUSED, NATS_UNREACHABLE */
export async function storeCode(
  pieces: AsyncIterable<UploadCodeRequest>,
  store: CodeStore,
  ledgerId: string,
): Promise<UploadCodeResponse> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new WattsweepError('CODE_REFUSED', 'the upload is empty');
  const { sha256, bytes } = first.value;
  if (!isCodeHash(sha256)) throw new WattsweepError('CODE_REFUSED', 'the upload is named by no SHA-256');
  if (bytes > MOST_CODE_BYTES)
    throw new WattsweepError(
      'CODE_REFUSED',
      `the code has ${bytes} bytes; ${MOST_CODE_BYTES / MIB} MiB are taken at most`,
    );
  if (await store.has(sha256)) return { stored: false };
  if ((await store.totalBytes()) + bytes > MOST_STORED_BYTES)
    throw new WattsweepError(
      'CODE_REFUSED',
      `the code of all sweeps would have more than ${MOST_STORED_BYTES / MIB} MiB`,
      {
        advice:
          'Delete sweeps that you do not need any more (`wattsweep delete`); their code goes within two hours.',
      },
    );
  const hash = createHash('sha256');
  const sink = store.create(ledgerId);
  let left = bytes;
  try {
    for (
      let next: IteratorResult<UploadCodeRequest> = first;
      next.done !== true;
      next = await iterator.next()
    ) {
      const { data } = next.value;
      left -= data.length;
      if (left < 0) break;
      hash.update(data);
      for (let at = 0; at < data.length; at += store.pieceBytes)
        await sink.write(data.subarray(at, at + store.pieceBytes));
    }
    if (left !== 0 || hash.digest('hex') !== sha256)
      throw new WattsweepError('CODE_REFUSED', 'what was uploaded is not what it was said to be', {
        advice: 'Submit it again: a file changed while it was packed, or the connection broke.',
      });
    await sink.finish(sha256);
  } catch (error) {
    await sink.abandon().catch(() => undefined);
    throw error;
  }
  return { stored: true };
}

/** The spec with what was packed. @throws CODE_MISSING, CODE_REFUSED, NATS_UNREACHABLE */
export async function withCode(
  spec: SweepSpec,
  packed: PackedCode | undefined,
  store: Pick<CodeStore, 'has'> | null,
): Promise<SweepSpec> {
  if (spec.code === undefined) return spec;
  const { folder } = spec.code;
  if (packed === undefined || store === null)
    throw new WattsweepError('CODE_MISSING', `the code of the folder ${folder} was not sent with the sweep`);
  const { sha256, bytes, files, git } = packed;
  if (!isCodeHash(sha256)) throw new WattsweepError('CODE_REFUSED', 'the code is named by no SHA-256');
  if (!(await store.has(sha256)))
    throw new WattsweepError('CODE_MISSING', `the code of the folder ${folder} is not in NATS (any more)`);
  const state: GitState | null =
    git === undefined
      ? null
      : {
          commit: git.commit.slice(0, 64),
          branch: git.branch.slice(0, 200),
          isDirty: git.dirty,
          diff: cutAsJson(git.diff),
          diffBytes: git.diffBytes,
        };
  return { ...spec, code: { folder, sha256, bytes, files, ...(state === null ? {} : { git: state }) } };
}

/** It is recorded in the ledger, in one message with the sweep. */
function cutAsJson(text: string): string {
  let cut = text.slice(0, MOST_DIFF_BYTES);
  while (Buffer.byteLength(JSON.stringify(cut)) > MOST_DIFF_BYTES) cut = cut.slice(0, cut.length * 0.9);
  return cut;
}
