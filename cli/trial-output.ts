/** `logs`: a trial's output as its program wrote it; which attempt it is, and what is missing, goes to stderr. */
import { once } from 'node:events';
import { streamOutput, type OutputChunk, type OutputQuery } from '../client/output.js';
import type { Coordinator } from '../client/coordinator.js';
import type { WattsweepError } from '../proto/errors.js';
import { note, noteColors, printJson, warn } from './output.js';

export interface Shown {
  /** Only so many last lines of what is there at first; null for all. */
  readonly tail: number | null;
  /** One chunk a line: `{attempt, trainerId, leftOutBytes, text}`. */
  readonly json: boolean;
}

type Print = (chunk: OutputChunk) => Promise<void>;

/** @throws as {@link streamOutput} */
export async function showOutput(
  coordinator: Pick<Coordinator, 'readOutput'>,
  query: OutputQuery,
  { tail, json }: Shown,
): Promise<void> {
  const print = json ? jsonPrinter() : textPrinter();
  let hasPrinted = false;
  let place: Partial<OutputQuery> = {};
  if (tail !== null) {
    const chunks: OutputChunk[] = [];
    for await (const chunk of streamOutput(coordinator, { ...query, follow: false })) chunks.push(chunk);
    const end = lastLines(chunks, tail);
    if (end !== null) {
      await print(end);
      hasPrinted = true;
      place = { attempt: end.attempt, from: end.next };
    }
  }
  if (tail === null || query.follow) {
    const onAway = ({ code, message }: WattsweepError): void =>
      warn(code === 'OUTPUT_GONE' ? message : `${message}; trying again`);
    for await (const chunk of streamOutput(coordinator, { ...query, ...place, onAway })) {
      await print(chunk);
      hasPrinted = true;
    }
  }
  if (!hasPrinted) note(`${query.trialId} has printed nothing${query.follow ? '' : ' yet'}`);
}

const NEWLINE = 0x0a;

/** The last `count` lines of one attempt as one chunk; null when it has printed nothing. */
export function lastLines(chunks: readonly OutputChunk[], count: number): OutputChunk | null {
  const last = chunks.at(-1);
  if (last === undefined) return null;
  const all = Buffer.concat(chunks.map(({ data }) => data));
  // A newline at the very end closes the last line and begins none.
  let begin = all.length - (all.at(-1) === NEWLINE ? 1 : 0);
  for (let lines = 0; lines < count && begin >= 0; lines++)
    begin = begin === 0 ? -1 : all.lastIndexOf(NEWLINE, begin - 1);
  return { ...last, data: all.subarray(begin + 1), leftOut: 0 };
}

function jsonPrinter(): Print {
  let decoder = new TextDecoder();
  let shown = 0;
  return ({ attempt, trainerId, leftOut, data }) => {
    // A character may begin in one chunk and end in the next.
    if (attempt !== shown || leftOut > 0) decoder = new TextDecoder();
    shown = attempt;
    const text = decoder.decode(data, { stream: true });
    printJson({ attempt, trainerId, leftOutBytes: leftOut, text }, 0);
    return Promise.resolve();
  };
}

function textPrinter(): Print {
  let shown = 0;
  return async ({ attempt, trainerId, leftOut, data }) => {
    if (attempt !== shown) note(noteColors.dim(`attempt ${attempt} on ${trainerId}`));
    shown = attempt;
    if (leftOut > 0) note(noteColors.dim(`[... ${leftOut} bytes left out ...]`));
    if (!process.stdout.write(data)) await once(process.stdout, 'drain');
  };
}
