/** Carries a schedule out on the processes of a stack. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChaosEvent, describeEvent } from './schedule.js';
import { type ChaosStack, COORDINATORS, slotOf, TRAINERS, variable } from './stack.js';

/** A trial is tried again twice after a crash: no more of them than that are made. */
const CRASHES_A_TRIAL = 2;

export class Fire {
  readonly done: string[] = [];
  readonly #busy = new Set<string>();
  readonly #crashes = new Map<string, number>();

  constructor(
    private readonly stack: ChaosStack,
    private readonly say: (text: string) => void,
  ) {}

  async perform(events: readonly ChaosEvent[]): Promise<void> {
    const begin = performance.now();
    await Promise.all(
      events.map(async (event) => {
        await sleep(Math.max(0, event.at - (performance.now() - begin)));
        const hit = await this.#one(event);
        this.say(`  ${describeEvent(event)}: ${hit ?? 'nothing to hit'}`);
      }),
    );
  }

  async #one(event: ChaosEvent): Promise<string | null> {
    const { kind, lastsMs, target } = event;
    const [what, how] = kind.split('_') as [string, 'kill' | 'freeze' | 'cut'];
    switch (what) {
      case 'nats':
        return this.#hold('nats', event, async () => {
          if (how === 'kill') await this.stack.restartNats(lastsMs);
          else await freeze(this.stack.nats.process.pid ?? 0, lastsMs);
        });
      case 'coordinator':
      case 'trainer': {
        const names = what === 'trainer' ? TRAINERS : COORDINATORS;
        const name = names[target % names.length]!;
        return this.#hold(name, event, async () => {
          if (how === 'kill') await this.stack.restart(name, lastsMs);
          else if (how === 'cut') await this.stack.cut(name, lastsMs);
          else await freeze(this.stack.pidOf(name), lastsMs);
        });
      }
      default:
        return this.#hitChild(what === 'child', how, event);
    }
  }

  async #hitChild(program: boolean, how: string, event: ChaosEvent): Promise<string | null> {
    const all = program ? this.stack.programs() : this.stack.supervisors();
    const trialOf = (pid: (typeof all)[number]): string =>
      program ? variable(pid, 'WATTSWEEP_TRIAL') : (this.#trialIn(slotOf(pid)) ?? '');
    // Of a supervisor that dies no more than a trial can bear, too.
    const able = all.filter((one) => (this.#crashes.get(trialOf(one)) ?? 0) < CRASHES_A_TRIAL);
    const one = able[event.target % Math.max(1, able.length)];
    if (one === undefined) return null;
    const trial = trialOf(one);
    // A frozen supervisor does not answer the next service, which kills it.
    this.#crashes.set(trial, (this.#crashes.get(trial) ?? 0) + 1);
    return this.#hold(program ? trial : slotOf(one), event, async () => {
      if (how === 'kill') process.kill(one.pid, 'SIGKILL');
      else await freeze(one.pid, event.lastsMs);
    });
  }

  /** Trial whose program runs in the slot of a supervisor's folder. */
  #trialIn(slotDir: string): string | null {
    const [trainer = '', slot = ''] = slotDir.split('/slots/').map((part) => part.split('/').at(-1) ?? '');
    const found = this.stack
      .programs()
      .find(
        (one) => variable(one, 'WATTSWEEP_TRAINER') === trainer && variable(one, 'WATTSWEEP_SLOT') === slot,
      );
    return found === undefined ? null : variable(found, 'WATTSWEEP_TRIAL');
  }

  /** One thing at a time to each process. */
  async #hold(name: string, event: ChaosEvent, act: () => Promise<void>): Promise<string | null> {
    if (this.#busy.has(name)) return null;
    this.#busy.add(name);
    this.done.push(`${event.kind} ${name}`);
    try {
      await act();
    } finally {
      this.#busy.delete(name);
    }
    return name;
  }
}

async function freeze(pid: number, ms: number): Promise<void> {
  if (!signal(pid, 'SIGSTOP')) return;
  await sleep(ms);
  signal(pid, 'SIGCONT');
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
