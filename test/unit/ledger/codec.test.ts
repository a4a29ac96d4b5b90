import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  decodeBatch,
  encodeBatch,
  encodeEvents,
  fromJson,
  toJson,
} from '../../../services/coordinator/ledger/codec.js';
import type { LedgerEvent } from '../../../services/coordinator/core/index.js';

const header = { appendId: 'a', term: 3, at: 1_700_000_000_000, reportsSeq: 42 };

const ended = (joules: number): LedgerEvent => ({
  type: 'attempt_ended',
  sweepId: 's',
  trialId: 't0001',
  attempt: 1,
  class: 'diverged',
  code: 'NON_FINITE',
  message: '',
  seconds: 1,
  energy: { joules, meanWatts: null, method: '', absentReason: '' },
  slotRetryAt: null,
  at: 1,
});

describe('an entry of the ledger', () => {
  test.each([NaN, Infinity, -Infinity, -0, 0, 0.1, Number.MAX_VALUE, 5e-324])(
    'carries %s exactly',
    (value) => {
      const batch = decodeBatch(encodeBatch(header, [encodeEvents([ended(value)])]), 1);
      expect(batch).toStrictEqual({ v: 2, ...header, events: [ended(value)] });
    },
  );

  test('joins the events of several decisions', () => {
    const chunks = [encodeEvents([ended(1), ended(2)]), encodeEvents([ended(3)])];
    expect(decodeBatch(encodeBatch(header, chunks), 1).events).toEqual([ended(1), ended(2), ended(3)]);
    expect(decodeBatch(encodeBatch(header, []), 1).events).toEqual([]);
  });

  test('shrinks when it is large', () => {
    const chunks = Array.from({ length: 5_000 }, () => encodeEvents([ended(1)]));
    const data = encodeBatch(header, chunks);
    expect(data.length).toBeLessThan(100_000);
    expect(decodeBatch(data, 1).events).toHaveLength(5_000);
  });

  test.each([
    ['a cut text', Buffer.from('{"v":1,')],
    ['no object', Buffer.from('7')],
    ['no version', Buffer.from('{}')],
    ['no events', Buffer.from('{"v":1,"appendId":"a","term":1,"at":1,"reportsSeq":0}')],
    [
      'an event without a type',
      Buffer.from('{"v":1,"appendId":"a","term":1,"at":1,"reportsSeq":0,"events":[{}]}'),
    ],
    ['broken gzip', Buffer.from([0x1f, 0x8b, 1, 2, 3])],
  ])('with %s is unreadable, and says which one', (_what, data) => {
    expect(() => decodeBatch(data, 17)).toThrow(
      expect.objectContaining({
        code: 'LEDGER_UNREADABLE',
        message: expect.stringContaining('entry 17') as string,
      }),
    );
  });

  const tricky = fc.letrec((tie) => ({
    value: fc.oneof(
      fc.double(),
      fc.constantFrom('NaN', '$n', 'Infinity', null, true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('$n', 'a', 'b'), tie('value'), { maxKeys: 3 }),
    ),
  })).value;
  test.prop([tricky])('keeps numbers, and keys that look like its own mark', (value) => {
    expect(fromJson(toJson(value))).toStrictEqual(plain(value));
  });
});

/** fast-check's dictionaries have no prototype; JSON's objects do. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]));
}
