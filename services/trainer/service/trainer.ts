/**
 * The trainer service: one a box. It takes commands over gRPC, runs attempts under the supervisors of its slots, meters
 * their energy and publishes their facts. It decides nothing and never loads TensorFlow; the runner, a child of a
 * child, does. Stopping or killing it does not stop training: the next one adopts what runs.
 */
import { existsSync, readdirSync } from 'node:fs';
import { pino, type Logger } from 'pino';
import type { WattsweepError } from '../../../proto/errors.js';
import type { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { recipes } from '../../../proto/recipes.js';
import { TRAINERS_BUCKET } from '../../../proto/subjects.js';
import { Attempts } from '../attempts/attempts.js';
import { AttemptDevices } from '../attempts/devices.js';
import { COMMAND_RECIPE } from '../attempts/request.js';
import { fetchCheckpoint } from '../checkpoints/fetch.js';
import { CheckpointStore, trialOf } from '../checkpoints/store.js';
import { CleanUp } from '../cleanup/cleanup.js';
import { monotonicMs } from '../host/clock.js';
import { trainerLayout } from '../layout.js';
import type { CheckpointObjects } from '../nats/checkpoint-objects.js';
import type { CodeObjects } from '../nats/code-objects.js';
import { NatsLink } from '../nats/link.js';
import { Registration } from '../nats/registration.js';
import { ReportPublisher } from '../nats/report-publisher.js';
import { TelemetryPublisher } from '../nats/telemetry-publisher.js';
import { resolveOptions, type TrainerOptions } from '../options.js';
import { CodeFolders } from '../programs/code-folders.js';
import { FileHashes } from '../programs/file-hashes.js';
import { checkNeeds } from '../programs/needs.js';
import { IdleWatts } from '../power/idle.js';
import { PowerLimits } from '../power/limits.js';
import { MeterMemory } from '../power/memory.js';
import { PowerMeter } from '../power/meter.js';
import { StatedDevices } from '../power/stated.js';
import { foreignDevices, type SlotInfo } from '../slots/inventory.js';
import { DeviceMemory } from '../slots/device-memory.js';
import { Slot } from '../slots/slot.js';
import { inspectBox, type Box } from './box.js';
import { trainerService } from './commands.js';
import { advertisedHost, describeBox, deviceSamples } from './describe.js';
import { FenceStore } from './fence.js';
import { FreeMemory } from './free-memory.js';
import { takeFolder } from './instance.js';
import { serve } from './server.js';

export interface RunningTrainer {
  readonly trainerId: string;
  /** `host:port`, as coordinators reach it. */
  readonly grpcAddress: string;
  /** Resolves when the service has closed: with the reason when it gave up by itself, else with null. */
  readonly closed: Promise<WattsweepError | null>;
  /**
   * Ends the service. With `drain`, attempts checkpoint and end as preempted first; without, they go on and the next
   * service adopts them.
   */
  close(options: { readonly drain: boolean }): Promise<void>;
}

/** Time for the last facts to reach NATS at the end. */
const FLUSH_MS = 5_000;
const QUICK_FLUSH_MS = 500;
/** Time for the checkpoints of preempted attempts to reach NATS. */
const STORE_FLUSH_MS = 8_000;
/** Beyond the grace: SIGTERM, SIGKILL and the look whether all are gone. */
const KILL_MS = 4_000;

/**
 * Starts the service; resolves when it is registered and takes commands. It waits for NATS and for the coordinator's
 * buckets as long as that takes; attempts of an earlier service are adopted before.
 *
 * Throws USAGE for wrong options, ALREADY_RUNNING when the folder or the name is taken, PORT_IN_USE, UNAUTHENTICATED.
 */
export async function startTrainer(given: TrainerOptions): Promise<RunningTrainer> {
  const options = resolveOptions(given);
  const log = pino({ level: options.logLevel, base: { trainer: options.trainerId } }, pino.destination(2));
  const layout = trainerLayout(options.dataDir, options.trainerId);
  const instance = takeFolder(layout);
  const undo: (() => void | Promise<void>)[] = [() => instance.release()];
  try {
    const box = await inspectBox(options, log);
    let isTraining = (): boolean => true;
    const meter = new PowerMeter({
      memory: new MeterMemory({
        path: layout.powerFile,
        isNeeded: () => isTraining(),
        onProblem: sayOnce((error) =>
          log.warn({ err: error }, 'what the meter knows cannot be written down'),
        ),
      }),
      sources: box.sources,
      periodMs: options.meterPeriodMs,
      noSourceReason: box.noGpuReason,
      estimateWatts: options.estimateWatts,
      onProblem: (device, reason) => log.warn({ device, reason }, 'a device cannot be read'),
    });
    undo.push(() => meter.close());
    const statedDevices = new StatedDevices();
    const foreign = foreignDevices(box.gpus, options.part);
    // TensorFlow computes on NVIDIA's GPUs and on CPUs only.
    const isForeign = box.slots.some(({ foreign }) => foreign !== undefined);
    const offeredRecipes = [...recipes]
      .filter(
        ([name, { energyMethod }]) => name !== COMMAND_RECIPE && !(isForeign && energyMethod === undefined),
      )
      .map(([name]) => name);

    // NATS may be away: facts wait in the publisher, and training goes on.
    let nats: NatsLink | null = null;
    const publish = async (subject: string, data: Uint8Array, messageId: string): Promise<void> => {
      if (nats === null) throw new Error('not connected yet');
      await nats.publish(subject, data, messageId);
    };
    const publisher = new ReportPublisher({ trainerId: options.trainerId, publish, log });
    undo.push(() => publisher.close());
    const telemetry = new TelemetryPublisher({
      trainerId: options.trainerId,
      instanceId: instance.instanceId,
      devices: () => deviceSamples(meter, statedDevices, slots, foreign),
      publish,
      log,
    });
    undo.push(() => telemetry.close());
    let objects: CheckpointObjects | null = null;
    let codeObjects: CodeObjects | null = null;
    const codeFolders = new CodeFolders(layout, () => codeObjects);
    const hashes = new FileHashes();
    const checkpoints = new CheckpointStore({ bounds: options, objects: () => objects, log });
    undo.push(() => checkpoints.close());
    const attempts = new Attempts({
      layout,
      trainerId: options.trainerId,
      recipes: offeredRecipes,
      allowCommands: options.allowCommands,
      runnerCommand: options.runnerCommand,
      stopGraceMs: options.stopGraceMs,
      warmIdleMs: options.warmIdleMs,
      lostAfterMs: options.lostAfterMs,
      meter,
      devices: new AttemptDevices({
        idle: new IdleWatts(meter, monotonicMs),
        memory: new DeviceMemory({ used: (device) => meter.memoryUsedBytes(device) }),
        powerLimits: new PowerLimits(layout.limitsFile, box.limiter, log),
      }),
      statedDevices,
      publish: (outgoing) => publisher.push(outgoing),
      onStep: (attemptId, step) => telemetry.push(attemptId, step),
      checkpoints,
      fetchCheckpoint: (attempt, wanted, signal) =>
        fetchCheckpoint(
          { layout, objects: () => objects, log },
          trialOf(attempt),
          attempt.accepted.spec.key,
          wanted,
          signal,
        ),
      prepareProgram: async (needs, signal) => {
        await checkNeeds(needs, hashes, signal);
        if (needs.codeSha256 !== undefined) await codeFolders.have(needs.codeSha256);
      },
      log,
    });
    const makeSlot = (info: SlotInfo, offered = true): Slot =>
      new Slot(
        info,
        {
          slotDir: layout.slotDir(info.slotId),
          supervisorCommand: options.supervisorCommand,
          lostAfterMs: options.lostAfterMs,
          stopGraceMs: options.stopGraceMs,
        },
        {
          onNews: (dir) => attempts.news(dir),
          onRefused: (dir, reason) => void attempts.refused(dir, reason).catch(unexpected(log)),
          onGone: (slot) => void attempts.supervisorGone(slot).catch(unexpected(log)),
        },
        offered,
      );
    const slots = [
      ...box.slots.map((info) => makeSlot(info)),
      ...formerSlots(layout.slotsDir, box).map((info) => makeSlot(info, false)),
    ];
    undo.push(() => slots.forEach((slot) => slot.close()));
    const held = new Map(await Promise.all(slots.map(async (slot) => [slot, await slot.adopt()] as const)));
    await attempts.recover(slots, held);
    isTraining = () => attempts.running.length > 0;
    undo.push(() => attempts.close());
    const cleanUp = new CleanUp({
      layout,
      bounds: options,
      open: () => attempts.open,
      forget: (dir) => attempts.forget(dir),
      nowMs: () => Date.now(),
      log,
    });
    cleanUp.start();
    undo.push(() => cleanUp.close());

    let draining = false;
    let registration: Registration | null = null;
    const drain = async (stopRunning: boolean): Promise<void> => {
      draining = true;
      await registration?.renew();
      if (stopRunning) await attempts.preemptAll();
    };
    const startedAtUnixMs = Date.now();
    const freeMemory = new FreeMemory(() => meter.now());
    const describe = (): TrainerRecord => ({
      ...describeBox(box, meter, options, instance, freeMemory.look(slots)),
      address,
      recipes: options.allowCommands.length > 0 ? [...offeredRecipes, COMMAND_RECIPE] : offeredRecipes,
      draining,
      startedAtUnixMs,
    });
    const fence = new FenceStore(layout.fenceFile);
    const server = await serve(
      trainerService({ fence, attempts, layout, record: describe, isDraining: () => draining, drain, log }),
      { host: options.listenHost, port: options.grpcPort, token: options.token },
    );
    undo.push(() => server.close());
    const address = `${advertisedHost(options)}:${String(server.port)}`;

    nats = await NatsLink.connect({
      url: options.natsUrl,
      token: options.token,
      name: `trainer ${options.trainerId}`,
      log,
    });
    const link = nats;
    undo.push(() => link.close());
    ({ checkpoints: objects, code: codeObjects } = await link.objectStores());
    let closing: Promise<void> | null = null;
    let tellClosed: (reason: WattsweepError | null) => void = () => undefined;
    const closed = new Promise<WattsweepError | null>((resolve) => (tellClosed = resolve));
    const close = (how: { readonly drain: boolean }, reason: WattsweepError | null = null): Promise<void> => {
      closing ??= (async () => {
        if (how.drain) {
          await drain(true);
          await attempts.idle(options.stopGraceMs + KILL_MS);
        }
        await publisher.flush(how.drain ? FLUSH_MS : QUICK_FLUSH_MS);
        if (how.drain) await checkpoints.flush(STORE_FLUSH_MS);
        await registration?.close();
        await unwind(undo, log);
        log.info({ drain: how.drain, running: attempts.running.length }, 'trainer closed');
        tellClosed(reason);
      })();
      return closing;
    };
    registration = await Registration.open(await link.bucket(TRAINERS_BUCKET, log), {
      trainerId: options.trainerId,
      ttlMs: options.trainerTtlMs,
      record: describe,
      predecessor: instance.predecessor,
      log,
      onClash: (error) => {
        log.fatal(error.message);
        void close({ drain: false }, error).catch(unexpected(log));
      },
    });
    server.setServing(true);
    log.info(
      { address, slots: box.slots.map(({ slotId }) => slotId), power: describe().powerMethod },
      'trainer is ready',
    );
    return { trainerId: options.trainerId, grpcAddress: address, closed, close: (how) => close(how) };
  } catch (error) {
    await unwind(undo, log);
    throw error;
  }
}

/** Undoes the last first; an error of one does not keep the others. */
async function unwind(undo: readonly (() => void | Promise<void>)[], log: Logger): Promise<void> {
  for (const action of [...undo].reverse()) await Promise.resolve(action()).catch(unexpected(log));
}

/** What a full disk would say again and again. */
function sayOnce(say: (error: unknown) => void): (error: unknown) => void {
  let hasSaid = false;
  return (error) => {
    if (!hasSaid) say(error);
    hasSaid = true;
  };
}

const unexpected =
  (log: Logger) =>
  (error: unknown): void =>
    log.error({ err: error }, 'unexpected error');

/** Slots with a folder that the box does not have any more: an attempt may still run there. */
function formerSlots(slotsDir: string, box: Box): readonly SlotInfo[] {
  if (!existsSync(slotsDir)) return [];
  const present = new Set(box.slots.map(({ slotId }) => slotId));
  return readdirSync(slotsDir)
    .filter((slotId) => !present.has(slotId))
    .map((slotId) => ({
      slotId,
      device: { kind: 'cpu', uuids: [], model: '', threads: 1 },
      memoryBytes: null,
      metered: [],
    }));
}
