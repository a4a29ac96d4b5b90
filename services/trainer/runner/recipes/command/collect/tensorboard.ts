/**
 * Epochs in TensorBoard's event files: scalars by tag and step. Programs write them from several runs (`train/`,
 * `validation/`), each to a file of its own, and late, one file minutes after the other: an epoch is told when all of its
 * metrics are there, when a later one has its objective, or at the end; never without the objective.
 */
import { readdirSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Collect } from '../../../../protocol/runner.js';
import { EventFile } from './event-file.js';
import type { CollectContext, Collector } from './collector.js';

type TensorBoardCollect = Extract<Collect, { readonly tensorboard: unknown }>['tensorboard'];

const IS_EVENT_FILE = /(^|[/\\])[^/\\]*tfevents[^/\\]*$/;

export class TensorBoard implements Collector {
  readonly #folder: string;
  readonly #files = new Map<string, EventFile>();
  /** Full tag by metric, once it has been seen. */
  readonly #tags = new Map<string, string>();
  /** Metrics of epochs that have not been told. */
  readonly #pending = new Map<number, Record<string, number>>();
  /** Of `count`: what was last said of each metric, and how often the objective was. */
  readonly #latest: Record<string, number> = {};
  #counted = 0;
  /** The last epoch that was told. */
  #told = 0;

  constructor(
    private readonly collect: TensorBoardCollect,
    private readonly context: CollectContext,
  ) {
    this.#folder = resolve(context.folder, collect.folder);
    for (const [path, file] of this.#discover()) {
      file.skip();
      this.#files.set(path, file);
    }
  }

  readonly look = (isLast: boolean): void => {
    for (const [path, file] of this.#discover()) this.#files.set(path, file);
    for (const [path, file] of this.#files) {
      const run = relative(this.#folder, dirname(path)).split(sep).join('/');
      for (const { tag, step, value } of file.read()) {
        const metric = this.#metricOf(run === '' ? tag : `${run}/${tag}`);
        if (metric !== null) this.#hear(metric, step, value);
      }
      if (file.isBroken)
        this.context.note(`${path} is no event file from some place on: the rest is not read`);
      else if (file.damaged > 0) this.context.note(`${path} has damaged records, which are passed over`);
    }
    this.#tell(isLast);
  };

  /** Event files that were not known. */
  #discover(): readonly (readonly [string, EventFile])[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#folder, { recursive: true, encoding: 'utf8' });
    } catch {
      return [];
    }
    return names
      .filter((name) => IS_EVENT_FILE.test(name))
      .sort()
      .map((name) => join(this.#folder, name))
      .filter((path) => !this.#files.has(path))
      .map((path) => [path, new EventFile(path)] as const);
  }

  /** The tag as the sweep file has it, or with further folders in front. */
  #metricOf(full: string): string | null {
    for (const [metric, tag] of Object.entries(this.collect.metrics)) {
      if (full !== tag && !full.endsWith(`/${tag}`)) continue;
      const known = this.#tags.get(metric);
      if (known === undefined) this.#tags.set(metric, full);
      else if (known !== full) {
        this.context.note(`both ${known} and ${full} are the tag ${tag}: only the first is heard`);
        continue;
      }
      return metric;
    }
    return null;
  }

  #hear(metric: string, step: number, value: number): void {
    const { epochs } = this.collect;
    if (epochs === 'count') {
      this.#latest[metric] = value;
      if (metric !== this.context.objective) return;
      this.#counted += 1;
      this.#pending.set(this.#counted, { ...this.#latest });
      return;
    }
    const epoch = epochs === 'from_0' ? step + 1 : step;
    // What else there is of a told epoch comes too late.
    if (epoch < 1 || (epoch <= this.#told && metric !== this.context.objective)) return;
    this.#pending.set(epoch, { ...this.#pending.get(epoch), [metric]: value });
  }

  #tell(isLast: boolean): void {
    const { objective, note, take } = this.context;
    const { epochs: stepsAre, metrics: wanted } = this.collect;
    const pending = [...this.#pending].sort(([a], [b]) => a - b);
    const newest = pending.findLast(([, metrics]) => Object.hasOwn(metrics, objective))?.[0] ?? 0;
    for (const [epoch, metrics] of pending) {
      const isWhole =
        stepsAre === 'count' || Object.keys(wanted).every((metric) => Object.hasOwn(metrics, metric));
      if (!isWhole && !isLast && epoch >= newest) return;
      this.#pending.delete(epoch);
      if (Object.hasOwn(metrics, objective)) {
        this.#told = Math.max(this.#told, epoch);
        take({ epoch, step: 0, metrics });
      } else note(`epochs without ${objective} in the event files are not told`);
    }
  }
}
