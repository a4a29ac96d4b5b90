import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  buildReport,
  renderHtml,
  renderJson,
  renderMarkdown,
  writeReport,
} from '../../../services/coordinator/report/index.js';
import { BEGIN, sweepState } from '../../support/sweep-state.js';

const report = buildReport(sweepState({ trials: [{ parameters: { a: 1 }, values: [0.5] }] }), { now: BEGIN });

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'wattsweep-report-'));
});
afterEach(() => rm(root, { recursive: true }));

it('writes the three files into a folder that it makes, and replaces them', async () => {
  const dir = join(root, 'reports', 'study-1');
  await writeReport(report, dir);
  const files = await writeReport(report, dir);
  expect(await readFile(files.markdown, 'utf8')).toBe(renderMarkdown(report));
  expect(await readFile(files.html, 'utf8')).toBe(renderHtml(report));
  expect(await readFile(files.json, 'utf8')).toBe(renderJson(report));
  expect(JSON.parse(await readFile(files.json, 'utf8'))).toMatchObject({ schemaVersion: 1 });
  expect((await readdir(dir)).sort()).toEqual(['report.html', 'report.json', 'report.md']);
});

it('fails with a code and leaves nothing behind', async () => {
  const file = join(root, 'taken');
  await writeFile(file, 'mine');
  await expect(writeReport(report, join(file, 'x'))).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
  expect(await readFile(file, 'utf8')).toBe('mine');
  expect(await readdir(root)).toEqual(['taken']);
});
