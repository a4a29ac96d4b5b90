import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly out?: string;
}

export function register(program: Command): void {
  const command = program
    .command('report')
    .description(
      'accuracy, seconds, watts and joules of a sweep, as tables; with --out as Markdown, HTML and JSON',
    )
    .argument('[sweep]', 'sweep (default: the newest)', '')
    .option('--out <dir>', 'write report.md, report.html and report.json there');
  withServer(command).action(async (sweepId: string, options: Options) => {
    const { withCoordinator } = await import('../client.js');
    const { note, print, printJson } = await import('../output.js');
    const { deliverReport, readReport } = await import('../report-files.js');
    const document = await withCoordinator(options, (coordinator) => coordinator.report(sweepId));
    if (options.out !== undefined) {
      const files = await deliverReport(document, options.out, { printMarkdown: false });
      if (!options.json) {
        for (const file of files) print(file);
        return;
      }
      for (const file of files) note(file);
    }
    if (options.json) {
      printJson(document);
      return;
    }
    const { renderMarkdown } = await import('../../services/coordinator/report/index.js');
    print(renderMarkdown(readReport(document)));
  });
}
