import { describe, expect, it } from 'vitest';
import { streamOutput, type OutputChunk, type OutputQuery } from '../../../client/output.js';
import { WattsweepError } from '../../../proto/errors.js';
import type {
  ReadTrialOutputRequest,
  ReadTrialOutputResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';

const QUERY: OutputQuery = { sweepId: 's', trialId: 't0001', attempt: 0, follow: true };

/** Answers one after the other, and keeps what was asked. */
function scripted(answers: readonly (Partial<ReadTrialOutputResponse> | WattsweepError)[]) {
  const asked: Pick<ReadTrialOutputRequest, 'attempt' | 'from'>[] = [];
  const rest = [...answers];
  return {
    asked,
    readOutput: ({ attempt, from }: ReadTrialOutputRequest): Promise<ReadTrialOutputResponse> => {
      asked.push({ attempt, from });
      const answer = rest.shift();
      if (answer === undefined) throw new Error('asked too often');
      if (answer instanceof WattsweepError) return Promise.reject(answer);
      return Promise.resolve({
        attempt: 1,
        trainerId: 'box',
        data: Buffer.alloc(0),
        next: from + (answer.data?.length ?? 0),
        leftOut: 0,
        atEnd: true,
        attemptOver: false,
        nextAttempt: 0,
        trialOver: false,
        missing: '',
        ...answer,
      });
    },
  };
}

async function textsOf(stream: AsyncIterable<OutputChunk>): Promise<string[]> {
  const texts = [];
  for await (const { attempt, data } of stream) texts.push(`${attempt}: ${Buffer.from(data).toString()}`);
  return texts;
}

const text = (data: string): { data: Buffer } => ({ data: Buffer.from(data) });

describe("a trial's output", () => {
  it('is followed over its attempts to the end of the trial', async () => {
    const box = scripted([
      { attempt: 0 },
      { ...text('one'), atEnd: false },
      text('two'),
      { ...text('three'), attemptOver: true },
      { attemptOver: true, nextAttempt: 2 },
      { ...text('four'), attempt: 2, trialOver: true },
      { attempt: 2, attemptOver: true, trialOver: true },
    ]);
    expect(await textsOf(streamOutput(box, QUERY))).toEqual(['1: one', '1: two', '1: three', '2: four']);
    expect(box.asked.map(({ attempt, from }) => [attempt, from])).toEqual([
      [0, 0],
      [0, 0],
      [1, 3],
      [1, 6],
      [1, 11],
      [2, 0],
      [2, 4],
    ]);
  });

  it('is what is there now, without follow', async () => {
    const box = scripted([{ ...text('one'), atEnd: false }, text('two')]);
    expect(await textsOf(streamOutput(box, { ...QUERY, follow: false }))).toEqual(['1: one', '1: two']);
  });

  it('waits for a box that is away, and says so once', async () => {
    const gone = new WattsweepError('TRAINER_UNREACHABLE', 'box does not answer');
    const box = scripted([text('one'), gone, gone, { ...text('two'), attemptOver: true, trialOver: true }]);
    const away: string[] = [];
    const query = { ...QUERY, onAway: (error: WattsweepError) => void away.push(error.code) };
    expect(await textsOf(streamOutput(box, query))).toEqual(['1: one', '1: two']);
    expect(away).toEqual(['TRAINER_UNREACHABLE']);
    await expect(textsOf(streamOutput(scripted([gone]), { ...QUERY, follow: false }))).rejects.toBe(gone);
  });

  it('goes on with the next attempt when the box of one that is over does not come back', async () => {
    const gone = new WattsweepError('TRAINER_UNREACHABLE', 'box does not answer');
    const box = scripted([
      text('one'),
      gone,
      { attemptOver: true, nextAttempt: 2, missing: 'box does not answer' },
      { ...text('two'), attempt: 2, attemptOver: true, trialOver: true },
    ]);
    const away: string[] = [];
    const query = { ...QUERY, onAway: (error: WattsweepError) => void away.push(error.code) };
    expect(await textsOf(streamOutput(box, query))).toEqual(['1: one', '2: two']);
    expect(away).toEqual(['TRAINER_UNREACHABLE', 'OUTPUT_GONE']);
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const box = scripted([text('one'), {}, {}]);
    for await (const chunk of streamOutput(box, { ...QUERY, signal: stop.signal })) {
      expect(chunk.next).toBe(3);
      stop.abort();
    }
    expect(box.asked).toHaveLength(1);
  });
});
