/** The command `doctor`: runs the checks, prints one line each, exits by the worst of them. */
import { ExitCode, WattsweepError } from '../../proto/errors.js';
import { gpuWanted } from '../../setup/locate.mjs';
import { withCoordinator } from '../client.js';
import { Exit } from '../errors.js';
import type { JsonOption, ServerOptions } from '../options.js';
import { note, outColors, print, printJson } from '../output.js';
import { type Finding, type Verdict, bad, ok, reservation } from './finding.js';
import { checkDisk, checkMemory, checkNode, checkPorts, checkSetupTools } from './machine.js';
import { checkCifar10, checkEngine, checkNats } from './pieces.js';
import { checkNatsServer, type NatsOptions } from './nats.js';
import { checkPower } from './power.js';

/** What `doctor` is told. */
export interface DoctorOptions extends NatsOptions, JsonOption {
  /** How long the power meter is read. */
  readonly meterSeconds: number;
}

export async function doctor(options: DoctorOptions): Promise<void> {
  const checks: (() => Finding | Finding[] | Promise<Finding | Finding[]>)[] = [
    checkNode,
    checkSetupTools,
    () => checkEngine(gpuWanted()),
    checkCifar10,
    checkNats,
    () => checkPower(options.meterSeconds),
    () => checkDisk(options),
    checkMemory,
    () => checkPorts(options),
    () => checkNatsServer(options),
    () => checkCoordinator(options),
  ];
  const findings: Finding[] = [];
  for (const check of checks) {
    const found = [await check()].flat();
    findings.push(...found);
    if (!options.json) for (const finding of found) printFinding(finding);
  }
  const worst = findings.some((finding) => finding.verdict === 'bad');
  if (options.json) printJson({ ok: !worst, findings });
  if (worst) {
    note('This box cannot run a sweep yet: see the lines with ✗.');
    throw new Exit(ExitCode.environment);
  }
}

const marks: Readonly<Record<Verdict, string>> = {
  ok: outColors.green('✓'),
  note: outColors.yellow('!'),
  bad: outColors.red('✗'),
};

function printFinding(finding: Finding): void {
  print(`${marks[finding.verdict]} ${finding.check.padEnd(12)} ${finding.detail}`);
  if (finding.advice !== '') print(`  ${' '.repeat(12)} ${finding.advice}`);
}

async function checkCoordinator(options: ServerOptions): Promise<Finding> {
  try {
    const { trainers } = await withCoordinator(options, (coordinator) => coordinator.trainers());
    return ok('coordinator', `answers; ${trainers.length} trainers have joined`);
  } catch (error) {
    if (!(error instanceof WattsweepError)) throw error;
    return error.code === 'COORDINATOR_UNREACHABLE'
      ? reservation('coordinator', error.message, 'None is needed before `wattsweep up`.')
      : bad('coordinator', error.message, error.advice);
  }
}
