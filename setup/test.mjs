/**
 * `npm test`: sets up what the tests need, runs them (all projects, or what the arguments say) and ends with one line,
 * `N passed, N failed`. The counts come from vitest's own JSON; a crash, a stray error or no test at all is a failure.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './lib/layout.mjs';
import { runMain } from './lib/errors.mjs';
import { runAttached } from './lib/run.mjs';
import { TEST_NEEDS, ready } from './ready.mjs';

/**
 * Whether only unit tests are asked for: these need nothing but the code.
 * @param {readonly string[]} args
 */
function unitOnly(args) {
  const projects = args.flatMap((arg, i) =>
    arg.startsWith('--project=') ? [arg.slice(10)] : arg === '--project' ? [args[i + 1]] : [],
  );
  if (projects.length > 0) return projects.every((project) => project === 'unit');
  const paths = args.filter((arg) => !arg.startsWith('-'));
  return paths.length > 0 && paths.every((path) => path.startsWith('test/unit'));
}

/**
 * @param {number} code vitest's exit code
 * @param {string | null} report its JSON, null when it wrote none
 * @returns {{lines: string[], exitCode: number}} the last is the closing line
 */
export function verdict(code, report) {
  let counts = { passed: 0, failed: 0, skipped: 0 };
  const lines = [];
  /** @type {string[]} */
  let unsteady = [];
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      report ?? '',
    );
    counts = { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
    unsteady = unsteadyTests(testResults ?? []);
  } catch {
    lines.push('vitest ended without a report');
  }
  if (counts.passed + counts.failed === 0) lines.push('no test ran');
  if (code !== 0 && counts.failed === 0)
    lines.push(`vitest exited with ${code} though no test failed: see the errors above`);
  if (lines.length > 0) counts.failed += 1;
  if (unsteady.length > 0)
    lines.push('passed only in their second run, which is a defect of the code or of the test:', ...unsteady);
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  lines.push(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return { lines, exitCode: counts.failed > 0 ? code || 1 : 0 };
}

/**
 * Tests with real servers get a second run (see vitest.config.ts). Those that needed it: vitest keeps the first run's
 * error beside the state `passed`.
 * @param {readonly {assertionResults: readonly {status: string, fullName: string, failureMessages: readonly string[]}[]}[]} files
 * @returns {string[]} a line each
 */
function unsteadyTests(files) {
  return files
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0)
    .map(({ fullName, failureMessages }) => `  ${fullName}: ${failureMessages[0]?.split('\n')[0]}`);
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

async function main() {
  const args = process.argv.slice(2);
  const root = projectRoot();
  await ready({ need: unitOnly(args) ? ['modules', 'build'] : TEST_NEEDS });
  const scratch = mkdtempSync(join(tmpdir(), 'wattsweep-test-'));
  try {
    const json = join(scratch, 'vitest.json');
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${json}`];
    const code = await runAttached(process.execPath, [vitest, 'run', ...reporters, ...args], { cwd: root });
    const { lines, exitCode } = verdict(code, readIfThere(json));
    process.stdout.write(lines.join('\n') + '\n');
    return exitCode;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1]?.endsWith('test.mjs')) await runMain(main);
