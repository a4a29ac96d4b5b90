/** Code on its way into NATS, what a submission says of it, and how long it stays there. */
import { createHash } from 'node:crypto';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { MOST_CODE_BYTES } from '../../../proto/code.js';
import type { PackedCode } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { storeCode, withCode, type CodeStore } from '../../../services/coordinator/api/code.js';
import { systemClock } from '../../../services/coordinator/clock.js';
import type { State } from '../../../services/coordinator/core/index.js';
import { forgetCode, type CodeShelf } from '../../../services/coordinator/fleet/stored-code.js';
import { sweepSpec } from '../../support/core.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function fakeStore(more: Partial<CodeStore> = {}) {
  const objects = new Map<string, string>();
  const abandoned: string[] = [];
  const store: CodeStore = {
    has: (name) => Promise.resolve(objects.has(name)),
    totalBytes: () => Promise.resolve(0),
    pieceBytes: 4,
    create: () => {
      const pieces: Uint8Array[] = [];
      return {
        write: (piece) => {
          expect(piece.length).toBeLessThanOrEqual(4);
          return Promise.resolve(void pieces.push(Uint8Array.from(piece)));
        },
        finish: (name) => Promise.resolve(void objects.set(name, Buffer.concat(pieces).toString())),
        abandon: () => Promise.resolve(void abandoned.push(Buffer.concat(pieces).toString())),
      };
    },
    ...more,
  };
  return { store, objects, abandoned };
}
async function* sent(parts: readonly string[], head: { readonly sha256: string; readonly bytes: number }) {
  for (const [index, part] of parts.entries()) {
    const first = index === 0 ? head : { sha256: '', bytes: 0 };
    yield await Promise.resolve({ ...first, data: Buffer.from(part) });
  }
}
const head = { sha256: sha256('hello, world'), bytes: 12 };

describe('an upload of code', () => {
  it('is stored in pieces under its hash, and once', async () => {
    const { store, objects } = fakeStore();
    expect(await storeCode(sent(['hello, ', 'world'], head), store, 'ledger')).toEqual({ stored: true });
    expect([...objects]).toEqual([[head.sha256, 'hello, world']]);
    expect(await storeCode(sent(['x'], head), store, 'ledger')).toEqual({ stored: false });
  });

  it.each([
    ['too short', ['hello'], head, 'is not what it was said to be'],
    ['too long', ['hello, world!'], head, 'is not what it was said to be'],
    ['of other content', ['hello, World'], head, 'is not what it was said to be'],
    ['without a hash', ['hello, world'], { ...head, sha256: '../x' }, 'no SHA-256'],
    ['too large', ['x'], { ...head, bytes: MOST_CODE_BYTES + 1 }, '64 MiB are taken at most'],
    ['empty', [], head, 'empty'],
  ])('is refused when it is %s, and nothing of it stays', async (_what, parts, first, words) => {
    const { store, objects, abandoned } = fakeStore();
    await expect(storeCode(sent(parts, first), store, 'ledger')).rejects.toMatchObject({
      code: 'CODE_REFUSED',
      message: expect.stringContaining(words) as string,
    });
    expect(objects.size).toBe(0);
    expect(abandoned.length).toBe(words.startsWith('is not') ? 1 : 0);
  });

  it('is refused while the store is full', async () => {
    const { store } = fakeStore({ totalBytes: () => Promise.resolve(4 * 1024 ** 3) });
    await expect(storeCode(sent(['hello, world'], head), store, 'ledger')).rejects.toThrow(
      'more than 4096 MiB',
    );
  });
});

describe('a submission with code', () => {
  const spec = { ...sweepSpec(), code: { folder: 'src', sha256: '' } };
  const packed: PackedCode = {
    ...head,
    files: 3,
    git: {
      commit: 'c'.repeat(40),
      branch: 'main',
      dirty: true,
      diff: '\u0001'.repeat(16_384),
      diffBytes: 99_999,
    },
  };

  it('records what was packed, and a diff that fits into the ledger', async () => {
    const { store, objects } = fakeStore();
    objects.set(head.sha256, '');
    const { code } = await withCode(spec, packed, store);
    expect(code).toMatchObject({ folder: 'src', ...head, files: 3 });
    expect(code?.git).toMatchObject({
      commit: 'c'.repeat(40),
      branch: 'main',
      isDirty: true,
      diffBytes: 99_999,
    });
    expect(JSON.stringify(code?.git?.diff).length).toBeLessThanOrEqual(16_384);
    const plain = sweepSpec();
    expect(await withCode(plain, undefined, null)).toBe(plain);
  });

  it('is refused while NATS lacks the code, or none was sent', async () => {
    const { store } = fakeStore();
    for (const sent of [packed, undefined])
      await expect(withCode(spec, sent, store)).rejects.toMatchObject({ code: 'CODE_MISSING' });
  });
});

it('code stays while a sweep names it, also one that was just submitted, and for an hour before', async () => {
  const over = new AbortController();
  const sweeps = new Map<string, unknown>();
  const asked: unknown[] = [];
  const ours = (sha256: string) => ({ sha256, ledgerId: 'ledger' });
  const shelf: CodeShelf = {
    keepOnly: (isKept, writtenBeforeMs) => {
      asked.push(isKept(ours('named')), writtenBeforeMs);
      sweeps.set('s', { spec: { code: { folder: '.', sha256: 'named' } } });
      asked.push(isKept(ours('named')), isKept(ours('other')));
      // A lost ledger may be restored: its sweeps need their code then.
      asked.push(
        isKept({ ...ours('other'), ledgerId: 'lost' }),
        isKept({ ...ours('other'), ledgerId: null }),
      );
      over.abort();
      return Promise.resolve(1);
    },
  };
  const state = (): State => ({ sweeps, ledgerId: 'ledger' }) as unknown as State;
  const hour = 3_600_000;
  await forgetCode(
    { shelf, state, now: () => 5 * hour, clock: systemClock, log: pino({ level: 'silent' }), everyMs: 1 },
    over.signal,
  );
  expect(asked).toEqual([false, 4 * hour, true, false, true, false]);
});
