/** From the words of a StartAttempt to what is run: templates filled, paths resolved, and what the box must have before. */
import { isAbsolute, join, normalize, resolve } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import type { Collector, StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { ProgramNeeds } from '../programs/needs.js';
import type { AttemptSpec, Collect, Parameters, ParameterValue } from '../protocol/runner.js';
import { fillCommand, fillText, valuesOf, type SeenFrom, type Values } from './command-template.js';

/** Folders and devices of the attempt. */
export interface ProgramPlaces {
  readonly workDir: string;
  readonly checkpointDir: string;
  readonly codeDir: (sha256: string) => string;
  readonly gpus: readonly string[];
}

export interface Program {
  readonly spec: Pick<AttemptSpec, 'command' | 'runDir' | 'code' | 'environmentFile' | 'collect'>;
  /** Null: nothing beside the program itself. */
  readonly needs: ProgramNeeds | null;
}

/** The place of the command's own words in what surrounds it. */
const COMMAND_PLACE = '{command}';

/** The program that the box itself starts: an owner who allows a wrapper allows what it runs. */
export const startedProgram = ({ command, setup }: Pick<StartAttemptRequest, 'command' | 'setup'>): string =>
  [setup?.wrap[0], command[0]].find((word) => word !== undefined && word !== COMMAND_PLACE) ?? '';

const SHA256 = /^[0-9a-f]{64}$/;

/** Throws PARAMETER_REFUSED for a place that nothing fills, REQUEST_INVALID for what no coordinator sends. */
export function programOf(
  request: Pick<StartAttemptRequest, 'command' | 'setup' | 'code' | 'seed' | 'maxEpochs'>,
  parameters: Parameters,
  places: ProgramPlaces,
): Program {
  const { setup, code } = request;
  const values = valuesOf(parameters, request);
  if (setup === undefined && code === undefined)
    return { spec: { command: fillCommand(request.command, values) }, needs: null };
  if (code !== undefined && !SHA256.test(code.sha256))
    throw new WattsweepError('REQUEST_INVALID', 'The command names code by something that is no SHA-256.');
  const codeDir = code === undefined ? null : places.codeDir(code.sha256);
  const where = placeOf(setup?.workdir ?? '', codeDir, values, places);
  const environmentFile = join(places.workDir, 'wattsweep.env');
  const known: Record<string, ParameterValue> = {
    workdir: where.runDir,
    attempt_dir: places.workDir,
    checkpoint_dir: places.checkpointDir,
    code_dir: codeDir ?? '',
    env_file: environmentFile,
    gpus: places.gpus.join(','),
    ...values,
  };
  const seenFrom: SeenFrom = codeDir === null && where.runDir === places.workDir ? 'trainer' : 'program';
  const command = fillCommand(request.command, values, seenFrom);
  const wrap = setup?.wrap ?? [];
  if (wrap.length > 0 && !wrap.includes(COMMAND_PLACE))
    throw new WattsweepError('REQUEST_INVALID', `What surrounds the command has no place ${COMMAND_PLACE}.`);
  const surrounding = fillCommand(wrap, { ...known, command: COMMAND_PLACE }, seenFrom);
  const words =
    wrap.length === 0 ? command : surrounding.flatMap((word) => (word === COMMAND_PLACE ? command : word));
  const files = (setup?.requires ?? []).map(({ path, sha256 }) => ({
    path: resolve(path),
    sha256: sha256 === '' ? null : sha256,
  }));
  const needs: ProgramNeeds = {
    ...(code === undefined ? {} : { codeSha256: code.sha256 }),
    ...(where.folder === null ? {} : { folder: where.folder }),
    ...(files.length === 0 ? {} : { files }),
  };
  return {
    spec: {
      command: words,
      ...(where.runDir === places.workDir ? {} : { runDir: where.runDir }),
      ...(codeDir === null ? {} : { code: { dir: codeDir, folder: where.below } }),
      ...(wrap.length === 0 ? {} : { environmentFile }),
      ...(setup?.collect === undefined ? {} : { collect: collectOf(setup.collect, known) }),
    },
    needs: Object.keys(needs).length === 0 ? null : needs,
  };
}

interface Place {
  readonly runDir: string;
  /** Folder of the box that must be there, or null. */
  readonly folder: string | null;
  /** Of the code, below its root; empty: the root. */
  readonly below: string;
}

function placeOf(
  template: string,
  codeDir: string | null,
  values: Values,
  { workDir }: ProgramPlaces,
): Place {
  const text = fillText(template, values, 'workdir');
  if (text === '') return { runDir: workDir, folder: null, below: '' };
  if (codeDir === null || isAbsolute(text)) {
    const folder = resolve(text);
    return { runDir: folder, folder, below: '' };
  }
  const below = normalize(text).replace(/\/$/, '');
  if (below === '..' || below.startsWith('../'))
    throw new WattsweepError('PARAMETER_REFUSED', `The workdir ${text} leads out of the code.`);
  return below === '.'
    ? { runDir: workDir, folder: null, below: '' }
    : { runDir: join(workDir, below), folder: null, below };
}

function collectOf({ regex, kerasCsv, tensorboard }: Collector, values: Values): Collect {
  const fill = (text: string): string => fillText(text, values, 'collector');
  if (regex !== '') return { regex };
  if (kerasCsv !== '') return { kerasCsv: fill(kerasCsv) };
  if (tensorboard === undefined)
    throw new WattsweepError('REQUEST_INVALID', 'The command says to collect, and not from what.');
  const { folder, metrics, epochs } = tensorboard;
  if (epochs !== 'from_0' && epochs !== 'from_1' && epochs !== 'count')
    throw new WattsweepError(
      'REQUEST_INVALID',
      `Steps of a kind that this version does not know: ${epochs}.`,
    );
  return { tensorboard: { folder: fill(folder), metrics, epochs } };
}
