/** Puts a report on disk. The only I/O of this folder. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import { renderHtml } from './render/html.js';
import { renderJson } from './render/json.js';
import { renderMarkdown } from './render/markdown.js';
import type { Report } from './types.js';

/** Paths of the files of one report. */
export interface ReportFiles {
  readonly markdown: string;
  readonly html: string;
  readonly json: string;
}

async function writeTemporary(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes `report.md`, `report.html` and `report.json` into `dir`, which is made if need be. A file is replaced as a
 * whole or not at all: all three are written beside their places first.
 *
 * @throws WattsweepError `FILE_UNWRITABLE` when the folder cannot be made or written; nothing is left half-written.
 */
export async function writeReport(report: Report, dir: string): Promise<ReportFiles> {
  const files = {
    markdown: join(dir, 'report.md'),
    html: join(dir, 'report.html'),
    json: join(dir, 'report.json'),
  };
  const suffix = `.${randomUUID()}.tmp`;
  const parts = [
    [files.markdown, renderMarkdown(report)],
    [files.html, renderHtml(report)],
    [files.json, renderJson(report)],
  ] as const;
  try {
    await mkdir(dir, { recursive: true });
    for (const [path, text] of parts) await writeTemporary(path + suffix, text);
    for (const [path] of parts) await rename(path + suffix, path);
  } catch (cause) {
    await Promise.allSettled(parts.map(([path]) => rm(path + suffix, { force: true })));
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WattsweepError('FILE_UNWRITABLE', `The report cannot be written to ${dir}: ${why}`, { cause });
  }
  return files;
}
