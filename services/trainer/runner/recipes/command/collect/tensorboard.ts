/**
 * Epochs in TensorBoard's event files: scalars by tag and step. Programs write them from several runs (`train/`,
 * `validation/`), each to a file of its own, and late: an epoch is told when all of its metrics are there, when something of
 * a later one is, or at the end.
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
    if (epoch < 1) return;
    this.#pending.set(epoch, { ...this.#pending.get(epoch), [metric]: value });
  }

  #tell(isLast: boolean): void {
    const { epochs, metrics: wanted } = this.collect;
    const newest = Math.max(...this.#pending.keys());
    for (const epoch of [...this.#pending.keys()].sort((a, b) => a - b)) {
      const metrics = this.#pending.get(epoch) ?? {};
      const isWhole = epochs === 'count' || Object.keys(wanted).every((metric) => metric in metrics);
      if (!isWhole && !isLast && epoch === newest) return;
      this.#pending.delete(epoch);
      this.context.take({ epoch, step: 0, metrics });
    }
  }
}
