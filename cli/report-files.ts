/** A report as the coordinator hands it out: read, written to disk, printed. */
import { relative } from 'node:path';
import { WattsweepError } from '../proto/errors.js';
import { type Report, renderMarkdown, writeReport } from '../services/coordinator/report/index.js';
import { print } from './output.js';

/** @throws INTERNAL when the coordinator speaks another version's reports. */
export function readReport(document: unknown): Report {
  const version = (document as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (version !== 1) {
    throw new WattsweepError('INTERNAL', `the coordinator's report has version ${String(version)}, not 1`, {
      advice: 'Use the same version of Wattsweep here and there.',
    });
  }
  return document as Report;
}

/** Writes Markdown, HTML and JSON into `dir` and prints the tables. @returns the paths, as short as they go. */
export async function deliverReport(
  document: unknown,
  dir: string,
  options: { readonly printMarkdown: boolean },
): Promise<string[]> {
  const report = readReport(document);
  const files = await writeReport(report, dir);
  if (options.printMarkdown) print(renderMarkdown(report));
  return [files.markdown, files.html, files.json].map(shortPath);
}

export function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
