/** `wattsweep export`: finds a trial's checkpoint on this box and writes its network for others. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WattsweepError } from '../proto/errors.js';
import {
  BEST,
  isCheckpoint,
  newestCheckpoint,
  readAnyCheckpoint,
} from '../services/trainer/runner/checkpoint.js';
import { openEngine } from '../services/trainer/runner/engine.js';
import { SAVED_MODEL_FILE } from '../services/trainer/runner/graph/saved-model.js';
import { WEIGHTS_FILE } from '../services/trainer/runner/graph/tfjs-model.js';
import { exportModel } from '../services/trainer/runner/recipes/images/export.js';
import { imageClassifier } from '../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { resnetCifar10 } from '../services/trainer/runner/recipes/images/recipes/resnet-cifar10.js';
import { type JsonOption, dataDir } from './options.js';
import { print, printJson } from './output.js';

/** Flags of `export`, as commander hands them over. */
export interface ExportFlags extends JsonOption {
  readonly to: string;
  readonly last?: boolean;
  readonly data?: string;
}

/** @throws WattsweepError CHECKPOINT_INVALID, FILE_UNWRITABLE, ENGINE_MISSING */
export function exportTrial(trial: string, flags: ExportFlags): void {
  const folder = checkpointOf(trial, flags);
  const checkpoint = readAnyCheckpoint(folder);
  const engine = openEngine({ model: 'CPU' });
  const { network, epoch, savedModel, tfjs } = exportModel(engine, checkpoint, [
    resnetCifar10,
    imageClassifier,
  ]);
  const [forPython, forTfjs] = [join(flags.to, 'saved_model'), join(flags.to, 'tfjs')];
  try {
    for (const path of [forPython, forTfjs]) mkdirSync(path, { recursive: true });
    writeFileSync(join(forPython, SAVED_MODEL_FILE), savedModel);
    writeFileSync(join(forTfjs, WEIGHTS_FILE), tfjs.weights);
    writeFileSync(join(forTfjs, 'model.json'), JSON.stringify(tfjs.json));
  } catch (error) {
    throw new WattsweepError('FILE_UNWRITABLE', `${flags.to}: ${(error as Error).message}`);
  }
  const files = { savedModel: forPython, tfjs: join(forTfjs, 'model.json') };
  if (flags.json) {
    printJson({ network, epoch, checkpoint: folder, ...files });
    return;
  }
  print(`${network} after epoch ${epoch}, from ${folder}`);
  print(`${files.savedModel}: tf.saved_model.load(...).signatures['serving_default'](images=...)`);
  print(`${files.tfjs}: tf.loadGraphModel(...).predict({ images })`);
}

/**
 * The checkpoint that `wattsweep export` takes: the folder given, or that of the trial's best epoch, or its last one.
 *
 * @throws WattsweepError CHECKPOINT_INVALID: none, or of several ledgers.
 */
export function checkpointOf(trial: string, flags: Omit<ExportFlags, 'to'>): string {
  if (isCheckpoint(trial)) return trial;
  const candidates = existsSync(trial) ? [trial] : trialFolders(trial, dataDir(flags));
  const [folder, ...others] = candidates;
  const missing = (problem: string): never => {
    throw new WattsweepError('CHECKPOINT_INVALID', problem, {
      advice: 'Give SWEEP/TRIAL and --data of the trainer that ran it, or the folder of a checkpoint.',
    });
  };
  if (folder === undefined) return missing(`there is no checkpoint of ${trial} in ${dataDir(flags)}`);
  if (others.length > 0) return missing(`${trial} has checkpoints in ${candidates.join(' and ')}`);
  const best = join(folder, BEST);
  if (flags.last !== true && isCheckpoint(best)) return best;
  return newestCheckpoint(folder) ?? missing(`${folder} holds no checkpoint`);
}

/** `trainers/TRAINER/checkpoints/LEDGER/SWEEP/TRIAL`, or `TRIAL.TERM`, below the data folder. */
function trialFolders(trial: string, data: string): string[] {
  const [sweepId = '', trialId = ''] = trial.split('/');
  const within = (folder: string): string[] =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return within(join(data, 'trainers'))
    .flatMap((trainer) => within(join(trainer, 'checkpoints')))
    .flatMap((ledger) => within(join(ledger, sweepId)))
    .filter((folder) => basename(folder) === trialId || basename(folder).startsWith(`${trialId}.`));
}
