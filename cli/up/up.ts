/** The command `up`, from flags to exit code. The services are `stack.ts`; the sweep's way is `sweep-run.ts`. */
import { resolve } from 'node:path';
import { cpus } from 'node:os';
import { mkdirSync } from 'node:fs';
import { ExitCode } from '../../proto/errors.js';
import type { Need } from '../../setup/ready.mjs';
import { recipesOf } from '../../services/coordinator/core/variants.js';
import { packCode, type Packed } from '../code/ship.js';
import { Exit } from '../errors.js';
import { natsBinary } from '../nats/binary.js';
import { dataDir } from '../options.js';
import { note, print } from '../output.js';
import { type SweepFile, readSweepFile } from '../sweep-file.js';
import type { UpFlags } from './flags.js';
import { endLeftovers } from './leftovers.js';
import { defaultName } from './names.js';
import { threadsPerTrainer, trainerNames } from './partition.js';
import { lockDataDir, readUpRecord } from './record.js';
import type { UpOptions } from './services.js';
import { Stack } from './stack.js';
import { runSweep } from './sweep-run.js';
import { givenToken, hostPort, isLoopback, keptToken, reachableHost } from './token.js';

export async function up(sweepPath: string | null, flags: UpFlags): Promise<void> {
  // A mistake in the file must show before anything starts.
  const sweep = sweepPath === null ? null : readSweepFile(sweepPath, flags.set);
  const packed = sweep === null ? null : await packCode(sweep);
  const folder = dataDir(flags);
  mkdirSync(folder, { recursive: true });
  const lock = lockDataDir(folder);
  try {
    await ensurePieces(sweep);
    const binary = await natsBinary(flags.natsServer);
    const left = await endLeftovers(readUpRecord(folder));
    if (left.length > 0) note(`ended what an earlier \`up\` had left: ${left.join(', ')}; its trials go on`);
    await runStack(
      completeOptions(folder, flags),
      binary,
      sweep === null ? null : { file: sweep, packed },
      flags,
    );
  } finally {
    lock.release();
  }
}

/** The engine and the images only where a sweep may need them: a program of the user's own brings what it needs. */
async function ensurePieces(sweep: SweepFile | null): Promise<void> {
  if (sweep !== null && recipesOf(sweep.spec).every((recipe) => recipe === 'command')) return;
  const { ready } = await import('../../setup/ready.mjs');
  const need: Need[] = ['engine', 'cifar10'];
  await ready({ need });
}

function completeOptions(folder: string, flags: UpFlags): UpOptions {
  const names = trainerNames(defaultName(), flags.trainers);
  const threads = threadsPerTrainer(cpus().length, flags.trainers);
  const given = givenToken(flags.token);
  return {
    dataDir: folder,
    listenHost: flags.listen,
    ports: { nats: flags.natsPort, grpc: flags.grpcPort, http: flags.httpPort },
    token: given ?? (isLoopback(flags.listen) ? null : keptToken(folder)),
    trainers: names.map((id, i) => ({ id, threads: threads[i] ?? 1, part: `${i + 1}/${names.length}` })),
    slotsPerDevice: flags.slotsPerDevice,
    allowCommands: flags.allowCommand,
    modules: flags.modules === undefined ? null : resolve(flags.modules),
    estimateWatts: flags.estimateWatts ?? null,
    trainerTtlMs: flags.trainerTtl,
    lostAfterMs: flags.lostAfter,
    stopGraceMs: flags.stopGrace,
    warmIdleMs: flags.warm,
    restart: flags.restart,
    logLevel: flags.logLevel,
    newLedger: flags.newLedger ?? false,
  };
}

async function runStack(
  options: UpOptions,
  binary: string,
  sweep: { readonly file: SweepFile; readonly packed: Packed | null } | null,
  flags: UpFlags,
): Promise<void> {
  let say = note;
  const stack = new Stack(options, (text) => say(text));
  const interrupted = interruption(stack);
  let exitCode: number = ExitCode.ok;
  try {
    await stack.start(binary);
    printAddresses(options, stack, sweep === null);
    if (sweep !== null && !interrupted.aborted) {
      exitCode = await runSweep(sweep.file, options, stack.addresses.grpcAddress, {
        overrides: flags.set,
        packed: sweep.packed,
        anew: flags.new ?? false,
        smoke: flags.smoke ?? false,
        reportDir: flags.reportDir,
        json: flags.json ?? false,
        signal: interrupted,
        // Beside the live table, not through it.
        saysThrough: (through) => (say = through ?? note),
      });
    }
    if (sweep === null || flags.keep) await aborted(interrupted);
  } finally {
    if (interrupted.aborted)
      note(
        'ending in order: coordinator, trainers, NATS (Ctrl-C again: at once; what trains then ends after --lost-after)',
      );
    await stack.end();
  }
  if (exitCode !== ExitCode.ok) throw new Exit(exitCode);
}

/** The first signal asks, the second kills. */
function interruption(stack: Stack): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) {
        stack.kill();
        process.exit(ExitCode.interrupted);
      }
      controller.abort();
    });
  }
  return controller.signal;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

function printAddresses(options: UpOptions, stack: Stack, isAnswer: boolean): void {
  const { grpcAddress, httpAddress, natsUrl, natsPort } = stack.addresses;
  const say = isAnswer ? print : note;
  say(`coordinator  ${grpcAddress}`);
  say(`metrics      http://${httpAddress}/metrics`);
  say(`nats         ${natsUrl}`);
  say(`trainers     ${options.trainers.map((trainer) => trainer.id).join(', ')}`);
  if (isLoopback(options.listenHost) || options.token === null) return;
  const url = `nats://${hostPort(reachableHost(options.listenHost), natsPort)}`;
  say('');
  say('On the next box:');
  // Not as an argument: every user of that box could read it.
  say(`  WATTSWEEP_TOKEN=${options.token} npx wattsweep trainer --nats ${url}`);
}
