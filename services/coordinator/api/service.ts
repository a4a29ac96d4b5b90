/** CoordinatorService: what people and programs ask. Answers come from the core's state once the ledger has it. */
import { WattsweepError } from '../../../proto/errors.js';
import {
  SweepControl,
  type CompareSweepFileRequest,
  type CompareSweepFileResponse,
  type ControlSweepRequest,
  type ControlSweepResponse,
  type CoordinatorServiceServer,
  type ExplainTrialRequest,
  type ExplainTrialResponse,
  type GetReportRequest,
  type GetReportResponse,
  type GetSweepRequest,
  type GetSweepResponse,
  type ListSweepsRequest,
  type ListSweepsResponse,
  type ReplaySweepRequest,
  type ReplaySweepResponse,
  type WatchSweepRequest,
  type WatchSweepResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { Replay, type State } from '../core/index.js';
import { requireModules } from '../modules/index.js';
import { buildReport } from '../report/index.js';
import { differenceText, parseSweepFile } from '../spec/index.js';
import { changeHandlers, type ServiceOptions } from './changes.js';
import { storeCode } from './code.js';
import { compareWithFile } from './extension.js';
import { sweepIn, trialIn } from './find.js';
import { controlTrainer, listTrainers, stopHeldAttempt } from './fleet.js';
import { readTrialOutput } from './output.js';
import { planOnFleet } from './plan.js';
import { clientStream, serverStream, unary, type CallContext } from './rpc.js';
import { historyOf } from './sentences.js';
import { submitSweep } from './submit.js';
import { decisionView, replayView, sweepView, trialView } from './views.js';
import { warningsOf } from './warnings.js';
import { watchSweep } from './watch.js';

export function coordinatorService({
  leader,
  now,
  onFault,
  modules = null,
  boxes,
  code,
}: ServiceOptions): CoordinatorServiceServer {
  /** Renders from the state, and answers once the ledger holds what was rendered. */
  const query = <Request, Response>(render: (state: State, request: Request) => Response) =>
    unary(async (request: Request): Promise<Response> => {
      const term = await leader();
      const response = render(term.state, request);
      await term.acknowledged();
      return response;
    }, onFault);

  return {
    submitSweep: unary(
      async (request) => submitSweep(await leader(), request, now, { modules, code: code() }),
      onFault,
    ),
    uploadCode: clientStream(async (pieces) => {
      const { state } = await leader();
      const store = code();
      if (store === null) throw new WattsweepError('NATS_UNREACHABLE', 'NATS has not been reached yet');
      return storeCode(pieces, store, state.ledgerId);
    }, onFault),
    listSweeps: query(listSweeps),
    getSweep: query(getSweep),
    controlSweep: unary(async (request: ControlSweepRequest): Promise<ControlSweepResponse> => {
      const term = await leader();
      const { sweepId, endedAt } = sweepIn(term.state, request.sweepId);
      const control = CONTROLS[request.control];
      if (control === null)
        throw new WattsweepError('USAGE', 'the request does not say what to do with the sweep');
      if (endedAt !== null) throw new WattsweepError('SWEEP_ENDED', `the sweep ${sweepId} has ended`);
      // It may wait for a module that has been put back.
      if (control === 'resume') modules?.provideAll();
      await term.offer([{ type: 'control', sweepId, control, at: now() }]);
      return { sweep: sweepView(sweepIn(term.state, sweepId), term.state) };
    }, onFault),
    ...changeHandlers({ leader, now, onFault }),
    compareSweepFile: query((state, request: CompareSweepFileRequest): CompareSweepFileResponse => {
      const { yaml, overrides, sweepId } = request;
      const { spec } = sweepIn(state, sweepId);
      const file = parseSweepFile(yaml, { overrides }).spec;
      return { differences: compareWithFile(spec, file).map(differenceText) };
    }),
    explainTrial: query(explainTrial),
    readTrialOutput: unary(async (request) => readTrialOutput(await leader(), request, boxes), onFault),
    replaySweep: unary(async (request: ReplaySweepRequest): Promise<ReplaySweepResponse> => {
      const term = await leader();
      const { sweepId, spec } = sweepIn(term.state, request.sweepId);
      modules?.provideAll();
      requireModules(spec);
      const replay = new Replay(sweepId);
      await term.acknowledged();
      for await (const event of term.history()) replay.take(event);
      return replayView(replay);
    }, onFault),
    getReport: query((state, request: GetReportRequest): GetReportResponse => {
      // Whoever reads it lays it out: doing that here would hold up the coordinator as long again.
      return { reportJson: JSON.stringify(buildReport(sweepIn(state, request.sweepId), { now: now() })) };
    }),
    planSweep: query(planOnFleet),
    listTrainers: query(listTrainers),
    controlTrainer: unary(async (request) => controlTrainer(await leader(), request, now), onFault),
    stopHeldAttempt: unary(async (request) => stopHeldAttempt(await leader(), request, now), onFault),
    watchSweep: serverStream(async function* (
      request: WatchSweepRequest,
      { signal }: CallContext,
    ): AsyncGenerator<WatchSweepResponse> {
      const term = await leader();
      yield* watchSweep(term, sweepIn(term.state, request.sweepId).sweepId, signal);
    }, onFault),
  };
}

const CONTROLS: Readonly<Record<SweepControl, 'stop' | 'pause' | 'resume' | null>> = {
  [SweepControl.STOP]: 'stop',
  [SweepControl.PAUSE]: 'pause',
  [SweepControl.RESUME]: 'resume',
  [SweepControl.UNSPECIFIED]: null,
  [SweepControl.UNRECOGNIZED]: null,
};

const listSweeps = (state: State, { archived, tags }: ListSweepsRequest): ListSweepsResponse => ({
  warnings: warningsOf(state),
  sweeps: [...state.sweeps.values()]
    .reverse()
    .filter((sweep) => (archived || !sweep.archived) && tags.every((tag) => sweep.tags.includes(tag)))
    .map((sweep) => sweepView(sweep, state)),
});

function getSweep(state: State, request: GetSweepRequest): GetSweepResponse {
  const sweep = sweepIn(state, request.sweepId);
  return {
    sweep: sweepView(sweep, state),
    trials: [...sweep.trials.values()].map((trial) => trialView(sweep, trial)),
  };
}

function explainTrial(state: State, request: ExplainTrialRequest): ExplainTrialResponse {
  const sweep = sweepIn(state, request.sweepId);
  const trial = trialIn(sweep, request.trialId);
  return {
    trial: trialView(sweep, trial),
    decisions: trial.decisions.map(decisionView),
    history: historyOf(sweep, trial),
  };
}
