/**
 * The whole of `up`: NATS, a coordinator, trainers; started in order of dependence, ended in the order in which nothing
 * is lost: the coordinator stops placing, trainers checkpoint and send their last reports, NATS goes last.
 */
import type { Service } from './children.js';
import { type ServiceEvents } from './children.js';
import { identify } from './process-identity.js';
import { removeUpRecord, writeUpRecord } from './record.js';
import { type UpOptions, coordinatorService, localNatsUrl, natsService, trainerService } from './services.js';

/** Empty until the service that has it is ready. */
export interface Addresses {
  readonly natsPort: number;
  readonly natsUrl: string;
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

export class Stack {
  readonly #options: UpOptions;
  readonly #say: (text: string) => void;
  readonly #services: Service[] = [];
  readonly #startedAt = new Date().toISOString();
  #addresses: Addresses = { natsPort: 0, natsUrl: '', grpcAddress: '', httpAddress: '' };

  constructor(options: UpOptions, say: (text: string) => void) {
    this.#options = options;
    this.#say = say;
  }

  get addresses(): Addresses {
    return this.#addresses;
  }

  /** @throws what the first service to fail said; what had started before is ended again. */
  async start(natsBinary: string): Promise<void> {
    try {
      await this.#startInOrder(natsBinary);
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  async #startInOrder(natsBinary: string): Promise<void> {
    const events: ServiceEvents = { say: this.#say, changed: () => this.#record() };
    const nats = natsService(this.#options, natsBinary, events);
    await this.#begin(nats);
    const natsPort = nats.ready['port'] ?? '';
    const natsUrl = localNatsUrl(this.#options.listenHost, natsPort);
    this.#addresses = { ...this.#addresses, natsUrl, natsPort: Number(natsPort) };
    this.#record();
    const coordinator = coordinatorService(this.#options, natsUrl, events);
    await this.#begin(coordinator);
    const { grpc = '', http = '' } = coordinator.ready;
    this.#addresses = { ...this.#addresses, grpcAddress: grpc, httpAddress: http };
    this.#record();
    const trainers = this.#options.trainers.map((trainer) =>
      trainerService(this.#options, trainer, natsUrl, events),
    );
    const started = await Promise.allSettled(trainers.map((trainer) => this.#begin(trainer)));
    const failure = started.find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async #begin(service: Service): Promise<void> {
    // Known before it starts: whatever becomes of the start, the end looks after it.
    this.#services.push(service);
    await service.start();
  }

  /** So that the next `up`, and other commands, find what runs now. */
  #record(): void {
    const { natsUrl, grpcAddress, httpAddress } = this.#addresses;
    writeUpRecord(this.#options.dataDir, {
      version: 1,
      up: identify(process.pid),
      startedAt: this.#startedAt,
      natsUrl,
      grpcAddress,
      httpAddress,
      token: this.#options.token,
      services: this.#services.flatMap((service) =>
        service.identity === null ? [] : [{ name: service.name, ...service.identity }],
      ),
    });
  }

  async end(): Promise<void> {
    const [nats, coordinator, ...trainers] = this.#services;
    await coordinator?.end();
    await Promise.all(trainers.map((trainer) => trainer.end()));
    await nats?.end();
    removeUpRecord(this.#options.dataDir);
  }

  kill(): void {
    for (const service of this.#services) service.kill();
  }
}
