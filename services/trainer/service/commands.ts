/** TrainerService: checks the fence, then hands the command on. */
import type { Logger } from 'pino';
import { StaleTermError, WattsweepError } from '../../../proto/errors.js';
import {
  type StartAttemptRequest,
  type StartFailure,
  type StartOutcome,
  StopMode as WireStopMode,
  type TrainerRecord,
  type TrainerServiceServer,
} from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { Attempts } from '../attempts/attempts.js';
import type { TrainerLayout } from '../layout.js';
import type { StopMode } from '../protocol/runner.js';
import type { FenceStore } from './fence.js';
import { answerReadOutput } from './output.js';
import { unary } from './server.js';

export interface CommandContext {
  readonly fence: FenceStore;
  readonly attempts: Attempts;
  readonly layout: TrainerLayout;
  readonly record: () => TrainerRecord;
  readonly isDraining: () => boolean;
  /** Takes no new attempts from now on; ends the running ones if asked to. */
  readonly drain: (stopRunning: boolean) => Promise<void>;
  readonly log: Logger;
}

const STOP_MODES: ReadonlyMap<WireStopMode, StopMode> = new Map([
  [WireStopMode.STOP, 'stop'],
  [WireStopMode.PAUSE, 'pause'],
  [WireStopMode.CANCEL, 'cancel'],
]);

export function trainerService(context: CommandContext): TrainerServiceServer {
  const { fence, attempts, log } = context;
  const start = async (request: StartAttemptRequest): Promise<boolean> => {
    const ledgerId = await fence.admit(request.fence);
    return attempts.start(request, ledgerId, context.isDraining());
  };
  return {
    describe: unary(log, () => Promise.resolve({ record: context.record() })),
    startAttempt: unary(log, async (request) => ({ created: await start(request) })),
    startAttempts: unary(log, async ({ starts }) => {
      const outcomes: StartOutcome[] = [];
      for (const request of starts)
        outcomes.push(
          await start(request).then(
            (created) => ({ created, failure: undefined }),
            (error: unknown) => {
              if (!(error instanceof WattsweepError)) log.error({ err: error }, 'a start failed');
              return { created: false, failure: failureOf(error) };
            },
          ),
        );
      return { outcomes };
    }),
    stopAttempt: unary(log, async (request) => {
      const commander = await fence.admit(request.fence);
      const ledgerId = request.ledgerId === '' ? commander : request.ledgerId;
      const mode = STOP_MODES.get(request.mode);
      if (mode === undefined)
        throw new WattsweepError('REQUEST_INVALID', 'The command does not say how to stop.');
      return { wasRunning: await attempts.stop(request.key, ledgerId, mode, request.reason) };
    }),
    listAttempts: unary(log, async (request) => {
      await fence.admit(request.fence);
      return {
        attempts: attempts.list().map((attempt) => ({
          key: attempt.key,
          slotId: attempt.accepted.slotId,
          furtherSlotIds: [...(attempt.accepted.furtherSlotIds ?? [])],
          phase: attempt.phase,
          epoch: attempt.epoch,
          ledgerId: attempt.accepted.ledgerId,
          endAcknowledged: attempt.published,
        })),
      };
    }),
    drain: unary(log, async (request) => {
      // An operator on the box drains without a fence; a coordinator's word must be of the present one.
      if (request.fence !== undefined) await fence.admit(request.fence);
      await context.drain(request.stopRunning);
      return { running: attempts.running.length };
    }),
    readOutput: unary(log, (request) =>
      Promise.resolve().then(() => answerReadOutput(context.layout, request)),
    ),
  };
}

function failureOf(error: unknown): StartFailure {
  if (!(error instanceof WattsweepError))
    return { code: 'INTERNAL', message: String(error), knownTerm: undefined };
  const { code, message } = error;
  return { code, message, knownTerm: error instanceof StaleTermError ? error.knownTerm : undefined };
}
