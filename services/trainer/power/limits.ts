/**
 * Power limits that attempts ask for by the parameter `gpu_power_limit_watts`: set before, put back after. What they were
 * before stands on the disk first, so that the next service puts back what a killed one has left.
 */
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import { recipes } from '../../../proto/recipes.js';
import { readJsonSync, writeJsonSync } from '../host/files.js';
import { bootId } from '../host/process.js';
import type { ParameterValue } from '../protocol/runner.js';
import type { PowerLimiter } from './limiter.js';
import type { MeteredDevice } from './meter.js';

export const POWER_LIMIT = 'gpu_power_limit_watts';

/** power-limits.json */
interface LimitsFile {
  readonly version: 1;
  /** A start of the machine puts all limits back by itself. */
  readonly bootId: string;
  readonly limits: readonly ChangedLimit[];
}

interface ChangedLimit {
  readonly device: string;
  /** Watts before. */
  readonly watts: number;
  /** Id of the attempt that has changed it. */
  readonly attempt: string;
}

/** What an attempt asks for. */
export interface LimitRequest {
  readonly attempt: string;
  /** UUIDs of its GPUs. */
  readonly devices: readonly string[];
  readonly watts: number;
  readonly isShared: boolean;
}

interface Asking {
  readonly metered: readonly MeteredDevice[];
  readonly spec: {
    readonly recipe: string;
    readonly parameters: Readonly<Record<string, ParameterValue>>;
    readonly device: { readonly uuids: readonly string[] };
  };
}

/** A driver gives back what it was told, but for rounding. */
const TOLERANCE_WATTS = 1;

const refuse = (message: string, advice?: string): never => {
  throw new WattsweepError('POWER_LIMIT_NOT_OFFERED', message, advice === undefined ? {} : { advice });
};

/** The limit that an attempt asks for; null for none. Throws PARAMETER_REFUSED for what is no number of watts. */
export function limitRequest(attempt: string, { spec, metered }: Asking): LimitRequest | null {
  const watts = spec.parameters[POWER_LIMIT] ?? null;
  // A recipe that states its energy reads the parameter itself: nothing computes here.
  if (watts === null || recipes.get(spec.recipe)?.energyMethod !== undefined) return null;
  if (typeof watts !== 'number' || !Number.isFinite(watts) || watts <= 0)
    throw new WattsweepError(
      'PARAMETER_REFUSED',
      `${POWER_LIMIT}: ${JSON.stringify(watts)} is no number of watts.`,
    );
  const isShared = metered.some((device) => device.isShared === true);
  return { attempt, devices: spec.device.uuids, watts, isShared };
}

export class PowerLimits {
  #changed: readonly ChangedLimit[];
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param limiter Null where nothing can set the limit of this box's GPUs. */
  constructor(
    private readonly path: string,
    private readonly limiter: PowerLimiter | null,
    private readonly log: Logger,
  ) {
    const file = readJsonSync(path) as LimitsFile | undefined;
    this.#changed = file?.version === 1 && file.bootId === bootId() ? file.limits : [];
  }

  /**
   * Sets the limit on every GPU of the attempt; on none when one of them fails.
   *
   * Throws POWER_LIMIT_NOT_OFFERED where this box cannot do it: no GPU of its own, no limit, no right. PARAMETER_REFUSED for
   * watts that its GPU does not take.
   */
  apply(request: LimitRequest): Promise<void> {
    return this.#inTurn(async () => {
      const { limiter } = this;
      const { devices, watts, attempt, isShared } = request;
      if (isShared)
        return refuse(
          `${POWER_LIMIT}: slots share the GPU, and a limit would meet the other attempts on it.`,
          'Start that trainer without --slots-per-device, or take the parameter out of the sweep.',
        );
      if (limiter === null || devices.length === 0)
        return refuse(`${POWER_LIMIT}: this slot has no GPU whose power limit can be set.`);
      for (const device of devices) {
        const found = await limiter.look(device);
        if ('reason' in found)
          return refuse(`${POWER_LIMIT}: the power limit of ${device} cannot be read: ${found.reason}.`);
        if (watts < found.least || watts > found.most)
          throw new WattsweepError(
            'PARAMETER_REFUSED',
            `${POWER_LIMIT}: ${device} takes ${String(found.least)} to ${String(found.most)} W, not ${String(watts)}.`,
          );
        this.#remember({ device, watts: found.watts, attempt });
      }
      try {
        for (const device of devices) await this.#set(limiter, device, watts);
      } catch (error) {
        await this.#putBack(({ attempt: of }) => of === attempt);
        throw error;
      }
    });
  }

  async #set(limiter: PowerLimiter, device: string, watts: number): Promise<void> {
    const problem = await limiter.set(device, watts);
    if (problem !== null)
      return refuse(`${POWER_LIMIT}: the power limit of ${device} cannot be set: ${problem}.`);
    const found = await limiter.look(device);
    if ('watts' in found && Math.abs(found.watts - watts) > TOLERANCE_WATTS)
      return refuse(
        `${POWER_LIMIT}: ${device} keeps ${String(found.watts)} W, though ${String(watts)} W were set.`,
      );
  }

  /** What it was before the first change that has not been put back counts. */
  #remember(change: ChangedLimit): void {
    const { device, attempt } = change;
    const before = this.#changed.find((one) => one.device === device)?.watts ?? change.watts;
    this.#write([
      ...this.#changed.filter((one) => one.device !== device),
      { device, watts: before, attempt },
    ]);
  }

  #write(limits: readonly ChangedLimit[]): void {
    this.#changed = limits;
    const file: LimitsFile = { version: 1, bootId: bootId(), limits };
    writeJsonSync(this.path, file, { durable: true });
  }

  /** The attempt is over: what it has changed is as before, also by an `apply` that is under way. Never rejects. */
  restore(attempt: string): Promise<void> {
    return this.#inTurn(() => this.#putBack((one) => one.attempt === attempt));
  }

  /** Puts back what attempts have changed that do not run any more: a service before this one was killed. */
  restoreAllBut(running: ReadonlySet<string>): Promise<void> {
    return this.#inTurn(() => this.#putBack(({ attempt }) => !running.has(attempt)));
  }

  async #putBack(isDue: (change: ChangedLimit) => boolean): Promise<void> {
    for (const change of this.#changed.filter(isDue)) {
      const { device, watts } = change;
      const problem = await this.#reset(change);
      if (problem === null) this.#forget(change);
      else
        this.log.error(
          { device, watts, problem },
          'a power limit cannot be put back; it is tried again at the next start',
        );
    }
  }

  /** Null when the limit is as before; where it was never changed, that takes no right. */
  async #reset({ device, watts }: ChangedLimit): Promise<string | null> {
    const { limiter } = this;
    if (limiter === null) return 'nothing can set it any more';
    const found = await limiter.look(device);
    return 'watts' in found && found.watts === watts ? null : limiter.set(device, watts);
  }

  #forget(change: ChangedLimit): void {
    try {
      this.#write(this.#changed.filter((one) => one !== change));
    } catch (error) {
      // A full disk does not keep an attempt from its end.
      this.log.error({ err: error }, 'a power limit was put back; the next start does it again');
    }
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(action);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
