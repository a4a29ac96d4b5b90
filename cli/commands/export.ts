import type { Command } from 'commander';
import type { ExportFlags } from '../export.js';
import { DEFAULT_DATA_DIR, withJson } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('export')
    .description('take a trained network away: as a SavedModel for TensorFlow and as a tfjs model')
    .argument('<trial>', 'SWEEP/TRIAL that was trained on this box, or the folder of a checkpoint')
    .option('--to <dir>', 'folder to write into', 'exported')
    .option('--last', 'the last checkpoint instead of the one after the best epoch')
    .option('--data <dir>', `data folder of \`up\` or of the trainer (default: ${DEFAULT_DATA_DIR})`);
  withJson(command).action(async (trial: string, flags: ExportFlags) => {
    const { exportTrial } = await import('../export.js');
    exportTrial(trial, flags);
  });
}
