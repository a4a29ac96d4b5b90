import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { buildReport, renderMarkdown } from '../../../services/coordinator/report/index.js';
import { escapeMarkdown } from '../../../services/coordinator/report/render/markdown.js';
import { BEGIN, stopDecision, sweepState } from '../../support/sweep-state.js';

it('reads as written by hand', () => {
  const sweep = sweepState({
    spec: {
      name: 'batch_size | study',
      levels: [0.6, 0.7],
      maxEpochs: 6,
      objective: {
        metric: 'val_accuracy',
        goal: 'maximize',
        target: null,
        holdEpochs: 2,
        holdTolerance: 0.002,
      },
      stopping: { rule: 'asha', firstRung: 2, eta: 3, window: 1, compareWithin: [], brackets: 1 },
      recipe: 'command',
    },
    trials: [
      {
        parameters: { batch_size: 64 },
        values: [0.5, 0.61, 0.62, 0.63, 0.71, 0.72],
        seconds: 22,
        watts: 97,
        gpuUtilization: 0.71,
      },
      {
        parameters: { batch_size: 32 },
        values: [0.55, 0.605, 0.61, 0.65, 0.66, 0.67],
        seconds: 27,
        watts: 70,
        gpuUtilization: 0.55,
      },
      {
        parameters: { batch_size: 128 },
        values: [0.3, 0.4],
        seconds: 20.5,
        watts: 114,
        gpuUtilization: 0.85,
        state: 'stopped',
        decisions: [
          stopDecision({ epoch: 2, rung: 2, value: 0.4, threshold: 0.605, reason: 'rank 3 of 3 | <b>' }),
        ],
      },
      {
        parameters: { batch_size: 0 },
        values: [],
        state: 'failed',
        code: 'PARAMETER_REFUSED',
        reason: 'batch_size must be >= 1',
        devices: [],
      },
    ],
  });
  const byHand = readFileSync(new URL('by-hand.md', import.meta.url), 'utf8');
  expect(renderMarkdown(buildReport(sweep, { now: BEGIN + 7_200_000 }))).toBe(byHand);
});

it.each([
  ['val_accuracy and _this_ one', 'val_accuracy and \\_this\\_ one'],
  ['a|b', 'a\\|b'],
  ['<script>alert(1)</script>', '&lt;script>alert(1)&lt;/script>'],
  ['[x](javascript:1)', '\\[x\\](javascript:1)'],
  ['two\nlines\u2028three', 'two lines three'],
  ['# no heading', '\\# no heading'],
  ['1. no list', '1\\. no list'],
  ['- no list', '\\- no list'],
  ['> no quote', '\\> no quote'],
  ['*no* `code` ~~struck~~', '\\*no\\* \\`code\\` \\~\\~struck\\~\\~'],
  ['back\\slash & amp', 'back\\\\slash &amp; amp'],
])('escapes %j', (text, escaped) => expect(escapeMarkdown(text)).toBe(escaped));
