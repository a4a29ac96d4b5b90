/**
 * `npm test`: sets up what the tests need, runs them (all projects, or what the arguments say) and ends with one line,
 * `N passed, N failed`. The counts come from vitest's own JSON; a crash, a stray error or no test at all is a failure.
 *
 * When all of them run, those of units come first; then two vitests side by side: tests of real servers wait most of
 * their time, so those that train take what the others leave, at the lowest priority.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './lib/layout.mjs';
import { runMain } from './lib/errors.mjs';
import { run, runAttached } from './lib/run.mjs';
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
 * @typedef {object} Run one vitest that has ended
 * @property {number} code its exit code
 * @property {string | null} report its JSON, null when it wrote none
 */

/**
 * @param {readonly Run[]} runs
 * @returns {{lines: string[], exitCode: number}} the last is the closing line
 */
export function verdict(runs) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const lines = [];
  const unsteady = [];
  for (const { code, report } of runs) {
    const { counts, complaints, unsteadyTests } = judge(code, report);
    sum.passed += counts.passed;
    sum.failed += counts.failed + (complaints.length > 0 ? 1 : 0);
    sum.skipped += counts.skipped;
    lines.push(...complaints);
    unsteady.push(...unsteadyTests);
  }
  if (unsteady.length > 0)
    lines.push('passed only in their second run, which is a defect of the code or of the test:', ...unsteady);
  const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
  lines.push(`${sum.passed} passed, ${sum.failed} failed${skipped}`);
  return { lines, exitCode: sum.failed > 0 ? runs.find(({ code }) => code !== 0)?.code || 1 : 0 };
}

/**
 * @param {number} code
 * @param {string | null} report
 */
function judge(code, report) {
  let counts = { passed: 0, failed: 0, skipped: 0 };
  const complaints = [];
  /** @type {string[]} */
  let unsteadyTests = [];
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      report ?? '',
    );
    counts = { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
    unsteadyTests = testsOfTwoRuns(testResults ?? []);
  } catch {
    complaints.push('vitest ended without a report');
  }
  if (counts.passed + counts.failed === 0) complaints.push('no test ran');
  if (code !== 0 && counts.failed === 0)
    complaints.push(`vitest exited with ${code} though no test failed: see the errors above`);
  return { counts, complaints, unsteadyTests };
}

/**
 * Tests with real servers get a second run (see vitest.config.ts). Those that needed it: vitest keeps the first run's
 * error beside the state `passed`.
 * @param {readonly {assertionResults: readonly {status: string, fullName: string, failureMessages: readonly string[]}[]}[]} files
 * @returns {string[]} a line each
 */
function testsOfTwoRuns(files) {
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

/** One after the other; side by side tests that wait for servers, and those that train and may take their time. */
const STAGES = [
  [{ projects: ['unit'], quiet: false }],
  [
    { projects: ['integration', 'e2e'], quiet: false },
    { projects: ['training'], quiet: true },
  ],
];

/**
 * @param {readonly string[]} args of the vitest
 * @param {{root: string, json: string, quiet?: boolean}} options `quiet`: at the lowest priority, its words when it ends
 * @returns {Promise<Run>}
 */
async function vitest(args, { root, json, quiet = false }) {
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${json}`];
  const words = [program, 'run', ...reporters, ...args];
  const options = { cwd: root, priority: quiet ? constants.priority.PRIORITY_LOW : undefined };
  if (!quiet) return { code: await runAttached(process.execPath, words, options), report: readIfThere(json) };
  const ran = await run(process.execPath, words, options);
  process.stdout.write(ran.stdout);
  process.stderr.write(ran.stderr);
  return { code: ran.code, report: readIfThere(json) };
}

async function main() {
  const args = process.argv.slice(2);
  const root = projectRoot();
  await ready({ need: unitOnly(args) ? ['modules', 'build'] : TEST_NEEDS });
  const scratch = mkdtempSync(join(tmpdir(), 'wattsweep-test-'));
  try {
    const stages =
      args.length > 0
        ? [[{ args, quiet: false }]]
        : STAGES.map((stage) =>
            stage.map(({ projects, quiet }) => ({
              args: projects.map((project) => `--project=${project}`),
              quiet,
            })),
          );
    /** @type {Run[]} */
    const runs = [];
    for (const stage of stages) {
      const ran = stage.map(({ args, quiet }, i) =>
        vitest(args, { root, json: join(scratch, `vitest-${runs.length + i}.json`), quiet }),
      );
      runs.push(...(await Promise.all(ran)));
    }
    const { lines, exitCode } = verdict(runs);
    process.stdout.write(lines.join('\n') + '\n');
    return exitCode;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1]?.endsWith('test.mjs')) await runMain(main);
