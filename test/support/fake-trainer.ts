/**
 * A trainer without training: registers itself, takes commands over real gRPC, and reports scripted epochs over real
 * NATS. Keeps what it was told, so that tests can ask.
 */
import { randomUUID } from 'node:crypto';
import { Server, ServerCredentials, status, type handleUnaryCall } from '@grpc/grpc-js';
import { connect, type KV, type NatsConnection } from 'nats';
import { StaleTermError, WattsweepError } from '../../proto/errors.js';
import { AttemptEndClass, type AttemptKey, type Fence } from '../../proto/gen/wattsweep/v1/attempt.js';
import {
  ReportBatch,
  type Energy as EnergyMessage,
  type Report,
} from '../../proto/gen/wattsweep/v1/facts.js';
import {
  AttemptPhase,
  TrainerRecord,
  TrainerServiceService,
  type StartAttemptRequest,
  type StopAttemptRequest,
  type TrainerServiceServer,
} from '../../proto/gen/wattsweep/v1/trainer.js';
import { toStatus } from '../../proto/grpc.js';
import { reportsSubject, TRAINERS_BUCKET } from '../../proto/subjects.js';

export interface FakeTrainerOptions {
  readonly natsUrl: string;
  readonly trainerId: string;
  /** @default 1 */
  readonly slots?: number;
  /** @default ['resnet-cifar10'] */
  readonly recipes?: readonly string[];
  /** @default '' */
  readonly powerMethod?: string;
  /** @default 1000 */
  readonly ttlMs?: number;
  /** Milliseconds between epochs. @default 5 */
  readonly epochMs?: number;
  /** Objective after an epoch. @default epoch / 100 */
  readonly value?: (request: StartAttemptRequest, epoch: number) => number;
  /** Puts something between coordinators and its port; the port that they are told. @default its own */
  readonly through?: (port: number) => Promise<number>;
  /** Throws to refuse an attempt. */
  readonly admit?: (request: StartAttemptRequest) => void;
  /** Sends each message so many times. @default 1 */
  readonly copies?: number;
  /** Of each epoch's training; null for no meter. @default null */
  readonly joules?: number | null;
  /** How an attempt ends after an epoch, on its own; null to go on. @default null */
  readonly mishap?: (request: StartAttemptRequest, epoch: number) => AttemptEndClass | null;
  /** False for a trainer of version 0.1.0. @default true */
  readonly knowsTermIds?: boolean;
}

interface RunningAttempt {
  readonly request: StartAttemptRequest;
  phase: AttemptPhase;
  epoch: number;
  line: number;
  stop: boolean;
  isAcknowledged: boolean;
}

const keyOf = (key: AttemptKey | undefined): string =>
  `${key?.sweepId}/${key?.trialId}#${key?.attempt}${key?.termId === '' ? '' : `.${key?.termId}`}`;

export class FakeTrainer {
  readonly attempts = new Map<string, RunningAttempt>();
  readonly started: StartAttemptRequest[] = [];
  readonly stopped: StopAttemptRequest[] = [];
  fence: Fence = { ledgerId: '', term: 0, termId: '' };
  readonly #options: Required<FakeTrainerOptions>;
  readonly #server = new Server();
  #nats!: NatsConnection;
  #bucket!: KV;
  #address = '';
  #renewal: NodeJS.Timeout | undefined;
  #dead = false;
  readonly #instanceId = randomUUID();

  private constructor(options: FakeTrainerOptions) {
    this.#options = {
      slots: 1,
      recipes: ['resnet-cifar10'],
      powerMethod: '',
      ttlMs: 1_000,
      epochMs: 5,
      value: (_request, epoch) => epoch / 100,
      admit: () => undefined,
      copies: 1,
      through: (port) => Promise.resolve(port),
      joules: null,
      mishap: () => null,
      knowsTermIds: true,
      ...options,
    };
  }

  static async start(options: FakeTrainerOptions): Promise<FakeTrainer> {
    const trainer = new FakeTrainer(options);
    await trainer.#start();
    return trainer;
  }

  /** Vanishes without a word: no renewals, no answers, no reports. */
  async vanish(): Promise<void> {
    this.#dead = true;
    clearInterval(this.#renewal);
    this.#server.forceShutdown();
    await this.#nats.close();
  }

  /** Publishes facts as the trainer would. */
  async publish(reports: readonly Report[]): Promise<void> {
    const { trainerId, copies } = this.#options;
    const data = ReportBatch.encode({ trainerId, reports }).finish();
    for (let i = 0; i < copies; i += 1) {
      const msgID = randomUUID();
      const send = (): Promise<unknown> =>
        this.#nats.jetstream().publish(reportsSubject(trainerId), data, { msgID, timeout: 500 });
      while (
        !this.#dead &&
        !(await send().then(
          () => true,
          () => false,
        ))
      );
    }
  }

  async #start(): Promise<void> {
    this.#nats = await connect({
      servers: this.#options.natsUrl.split(','),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    this.#bucket = await this.#nats.jetstream().views.kv(TRAINERS_BUCKET, { bindOnly: true });
    this.#server.addService(TrainerServiceService, this.#service());
    const port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    this.#address = `127.0.0.1:${await this.#options.through(port)}`;
    await this.#renew();
    this.#renewal = setInterval(() => void this.#renew().catch(() => undefined), this.#options.ttlMs / 3);
  }

  async #renew(): Promise<void> {
    const { trainerId, slots, recipes, powerMethod } = this.#options;
    const record: TrainerRecord = {
      trainerId,
      address: this.#address,
      slots: Array.from({ length: slots }, (_, i) => ({
        slotId: `cpu${i}`,
        deviceKind: 'cpu',
        deviceModel: 'fake CPU',
        deviceUuids: [],
        memoryBytes: undefined,
        threads: 1,
      })),
      recipes,
      labels: {},
      software: {},
      powerMethod,
      draining: false,
      instanceId: this.#instanceId,
      knowsTermIds: this.#options.knowsTermIds,
      startedAtUnixMs: 1,
    };
    await this.#bucket.put(trainerId, JSON.stringify(TrainerRecord.toJSON(record)));
  }

  #service(): TrainerServiceServer {
    const unary =
      <Request, Response>(handler: (request: Request) => Response): handleUnaryCall<Request, Response> =>
      (call, callback) => {
        try {
          callback(null, handler(call.request));
        } catch (error) {
          callback(toStatus(error));
        }
      };
    return {
      readOutput: unary(() => ({ data: Buffer.alloc(0), next: 0, leftOut: 0, atEnd: true })),
      describe: unary(() => ({ record: undefined })),
      startAttempt: unary((request: StartAttemptRequest) => {
        this.#checkFence(request.fence);
        const key = keyOf(request.key);
        if (this.attempts.has(key)) return { created: false };
        this.#options.admit(request);
        this.started.push(request);
        const attempt = {
          request,
          phase: AttemptPhase.RUNNING,
          epoch: 0,
          line: 0,
          stop: false,
          isAcknowledged: false,
        };
        this.attempts.set(key, attempt);
        void this.#train(attempt).catch(() => undefined);
        return { created: true };
      }),
      // As a trainer of before that call.
      startAttempts: (_call, callback) => callback({ code: status.UNIMPLEMENTED }),
      stopAttempt: unary((request: StopAttemptRequest) => {
        this.#checkFence(request.fence);
        this.stopped.push(request);
        const attempt = this.attempts.get(keyOf(request.key));
        const wasRunning = attempt !== undefined && attempt.phase !== AttemptPhase.ENDED;
        if (attempt !== undefined) attempt.stop = true;
        return { wasRunning };
      }),
      listAttempts: unary(({ fence }: { readonly fence: Fence | undefined }) => {
        this.#checkFence(fence);
        return {
          attempts: [...this.attempts.values()].map(({ request, phase, epoch, isAcknowledged }) => ({
            key: request.key,
            slotId: request.slotId,
            furtherSlotIds: request.furtherSlotIds,
            phase,
            epoch,
            ledgerId: request.fence?.ledgerId ?? '',
            endAcknowledged: isAcknowledged,
          })),
        };
      }),
      drain: unary(() => ({ running: 0 })),
    };
  }

  #checkFence(fence: Fence | undefined): void {
    if (fence === undefined) throw new WattsweepError('STALE_TERM', 'no fence');
    const known = this.fence;
    const isOther = fence.term === known.term && fence.termId !== known.termId;
    if (fence.ledgerId === known.ledgerId && (fence.term < known.term || isOther)) {
      throw new StaleTermError(`term ${fence.term} is over`, this.fence.term);
    }
    this.fence = fence;
  }

  async #train(attempt: RunningAttempt): Promise<void> {
    const { request } = attempt;
    const { key } = request;
    const fact = (value: Report['fact']): Promise<void> =>
      this.publish([{ spoolLine: ++attempt.line, fact: value }]);
    const atUnixMs = Date.now();
    const none = { joules: undefined, meanWatts: undefined, method: '', absentReason: 'a fake' };
    const { joules } = this.#options;
    const energy = (epochs: number): EnergyMessage =>
      joules === null
        ? none
        : { joules: joules * epochs, meanWatts: joules, method: 'nvml-counter', absentReason: '' };
    await fact({
      $case: 'started',
      value: {
        key,
        deviceKind: 'cpu',
        deviceModel: 'fake CPU',
        engine: {},
        trainableParameters: undefined,
        stepsPerEpoch: undefined,
        resumedEpoch: 0,
        atUnixMs,
      },
    });
    let mishap: AttemptEndClass | null = null;
    const goesOn = (): boolean => !attempt.stop && !this.#dead && mishap === null;
    for (let epoch = 1; epoch <= request.maxEpochs && goesOn(); epoch += 1) {
      await new Promise((resolve) => setTimeout(resolve, this.#options.epochMs));
      attempt.epoch = epoch;
      await fact({
        $case: 'epoch',
        value: {
          key,
          epoch,
          step: epoch,
          metrics: { [request.objectiveMetric]: this.#options.value(request, epoch), loss: NaN },
          trainSeconds: 1,
          evaluationSeconds: 0.5,
          dataWaitSeconds: undefined,
          samplesPerSecond: undefined,
          trainEnergy: energy(1),
          evaluationEnergy: none,
          gpuUtilization: undefined,
          atUnixMs,
        },
      });
      mishap = this.#options.mishap(request, epoch);
    }
    attempt.phase = AttemptPhase.ENDED;
    await fact({
      $case: 'ended',
      value: {
        key,
        class: mishap ?? (attempt.stop ? AttemptEndClass.STOPPED : AttemptEndClass.COMPLETED),
        code: '',
        message: '',
        seconds: 1,
        energy: energy(attempt.epoch + 0.5),
        atUnixMs,
      },
    });
    attempt.isAcknowledged = !this.#dead;
  }
}
