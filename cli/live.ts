/**
 * Shows a sweep while it runs, on stderr: a table that is redrawn on a terminal, one line a change elsewhere.
 */
import { createLogUpdate } from 'log-update';
import type { WatchSweepResponse } from '../proto/gen/wattsweep/v1/coordinator.js';
import { truncate } from './format.js';
import { note, noteColors, table } from './output.js';
import {
  type SweepView,
  applyUpdate,
  byInterest,
  emptyView,
  summaryLine,
  trialColumns,
  trialRow,
  updateLines,
} from './sweep-view.js';

export interface LiveView {
  readonly view: SweepView;
  update(message: WatchSweepResponse): void;
  /** One line beside the table, e.g. that a service was restarted. */
  say(text: string): void;
  /** Leaves the last state on the screen. */
  end(): void;
}

export function liveView(stream: NodeJS.WriteStream = process.stderr): LiveView {
  return stream.isTTY && process.env['TERM'] !== 'dumb' ? new RedrawnTable(stream) : new PlainLines();
}

const REDRAW_EVERY_MS = 1000;
/** Lines below the table: a gap, the summary, the last messages. */
const FOOTER_LINES = 6;

class RedrawnTable implements LiveView {
  view: SweepView = emptyView;
  readonly #stream: NodeJS.WriteStream;
  readonly #draw: ReturnType<typeof createLogUpdate>;
  readonly #timer: NodeJS.Timeout;
  #messages: string[] = [];

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#draw = createLogUpdate(stream, { showCursor: true });
    // The clock in the summary goes on between updates.
    this.#timer = setInterval(() => this.#redraw(), REDRAW_EVERY_MS);
    this.#timer.unref();
  }

  update(message: WatchSweepResponse): void {
    this.view = applyUpdate(this.view, message);
    this.#messages = [...this.#messages, ...message.messages].slice(-3);
    this.#redraw();
  }

  say(text: string): void {
    this.#draw.clear();
    note(text);
    this.#redraw();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#messages = [];
    this.#redraw();
    this.#draw.done();
  }

  #redraw(): void {
    const size = { columns: this.#stream.columns || 80, rows: this.#stream.rows || 24 };
    this.#draw(drawTable(this.view, this.#messages, size, Date.now()));
  }
}

/** The whole picture, cut to the terminal: a wrapped line would leave its rest behind at each redraw. */
export function drawTable(
  view: SweepView,
  messages: readonly string[],
  size: { readonly columns: number; readonly rows: number },
  nowMs: number,
): string {
  const trials = [...view.trials.values()].sort(byInterest(view.sweep?.objectiveGoal ?? 'maximize'));
  const room = Math.max(3, size.rows - FOOTER_LINES);
  const shown = trials.slice(0, room);
  const columns = trialColumns(view);
  const why = columns.length - 1;
  const lines = table(
    columns,
    shown.map((trial) => trialRow(view, trial).map((cell, i) => (i === why ? cell : truncate(cell, 24)))),
    { ...noteColors, bold: (text) => String(text) },
  ).split('\n');
  const hidden = trials.length - shown.length;
  return [...lines, ...(hidden > 0 ? [`… ${hidden} more`] : []), '', ...messages, summaryLine(view, nowMs)]
    .map((line) => truncate(line, size.columns - 1))
    .join('\n');
}

class PlainLines implements LiveView {
  view: SweepView = emptyView;
  readonly #begun = Date.now();

  update(message: WatchSweepResponse): void {
    const before = this.view;
    this.view = applyUpdate(before, message);
    for (const line of updateLines(before, this.view, message)) this.say(line);
  }

  say(text: string): void {
    note(`[${((Date.now() - this.#begun) / 1000).toFixed(1).padStart(6)} s] ${text}`);
  }

  end(): void {
    note(summaryLine(this.view, Date.now()));
  }
}
