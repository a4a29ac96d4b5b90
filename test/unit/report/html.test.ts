import { describe, expect, it } from 'vitest';
import {
  buildReport,
  renderHtml,
  renderJson,
  type Report,
} from '../../../services/coordinator/report/index.js';
import { markup } from '../../../services/coordinator/report/render/markup.js';
import { sampleSweep } from '../../support/sample-sweep.js';
import { BEGIN, stopDecision, sweepState } from '../../support/sweep-state.js';

const NASTY = `</title><script>alert('x')</script>"'&<img src=x onerror=y>\u0000`;

const nasty = buildReport(
  sweepState({
    spec: { name: NASTY, levels: [0.5] },
    reason: NASTY,
    trials: [
      { parameters: { [NASTY]: 'a', b: 1 }, values: [0.6, 0.6], devices: [NASTY] },
      {
        parameters: { [NASTY]: NASTY, b: 2 },
        values: [0.1],
        state: 'stopped',
        decisions: [stopDecision({ reason: NASTY, rule: NASTY })],
        reason: NASTY,
        devices: [`2${NASTY}`],
      },
      { parameters: { b: 3 }, values: [], state: 'failed', reason: NASTY, code: NASTY },
    ],
  }),
  { now: BEGIN },
);

const sample = buildReport(sampleSweep(), { now: BEGIN });

/** Tags that are opened are closed, in order: what XML would ask of the pictures. */
function unbalanced(svg: string): string | null {
  const open: string[] = [];
  for (const [, slash, name, self] of svg.matchAll(/<(\/?)([a-zA-Z]+)[^<>]*?(\/?)>/g)) {
    if (slash === '/') {
      if (open.pop() !== name) return name ?? '';
    } else if (self !== '/') open.push(name ?? '');
  }
  return open.at(-1) ?? null;
}

const pictures = (html: string): readonly string[] => html.match(/<svg[\s\S]*?<\/svg>/g) ?? [];

describe('the page', () => {
  const html = renderHtml(sample);

  it('asks the network for nothing, and forbids itself to', () => {
    expect(html).not.toMatch(/<script|<link|<img|<iframe|@import|url\((?!#)|https?:/);
    expect(html).toContain(`default-src 'none'`);
  });

  it('opens with the answer', () =>
    expect(html.indexOf(sample.answer.text)).toBeLessThan(html.indexOf('Read with care')));

  it('keeps a long name within its picture, and whole in the table', () => {
    const parameters = {
      optimizer: 'sgd',
      ['momentum_of_the_moving_statistics']: 0.9,
      ['with_a_long_name_as_well']: 3e-3,
    };
    const long = buildReport(
      sweepState({
        spec: { name: 'long', levels: [0.5] },
        trials: [
          { parameters, values: [0.6, 0.6] },
          { parameters: { optimizer: 'adam' }, values: [0.6, 0.6] },
        ],
      }),
      { now: BEGIN },
    );
    const page = renderHtml(long);
    expect(page).toMatch(/<text [^>]*textLength="360"[^>]*>momentum_of_the_mov[^<]*…[^<]*3e-3<\/text>/);
    expect(page).toContain('<span>momentum_of_the_moving_statistics 0.9 ·</span> <span>sgd ·</span>');
  });

  it('has its pictures, each with words for those who do not see them', () => {
    const svgs = pictures(html).filter((svg) => svg.includes('role="img"'));
    expect(svgs).toHaveLength(7);
    for (const svg of svgs) {
      expect(svg).toMatch(/aria-label="[^"]+"/);
      expect(unbalanced(svg)).toBeNull();
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  it('draws a line a trial, its rungs and its stops', () => {
    const [whole = ''] = pictures(html);
    const ran = sample.trials.filter((trial) => trial.epochs > 0).length;
    expect(whole.match(/class="curve s\d"/g)).toHaveLength(ran);
    expect(whole).toContain('rung 20');
    const stopped = sample.trials.filter((trial) => trial.state === 'stopped').length;
    expect(whole.match(/class="cross s\d" d="M[\d.]+ [\d.]+L[\d.]+ [\d.]+M/g)).toHaveLength(stopped);
  });

  it('is the same from a report that went through JSON', () =>
    expect(renderHtml(JSON.parse(renderJson(sample)) as Report)).toBe(html));

  it('draws seconds where nothing read the energy', () => {
    const text = renderHtml(buildReport(sampleSweep({ watts: false }), { now: BEGIN }));
    expect(text).toContain('Time to val_accuracy');
    expect(text).not.toMatch(/Energy to val_accuracy|J\/epoch/);
  });
});

it('escapes whatever a program or a person named', () => {
  const html = renderHtml(nasty);
  expect(html).not.toMatch(/<script|<img|onerror=y>/);
  expect(html).not.toContain('\u0000');
  expect(html).toContain('&lt;script&gt;');
  for (const svg of pictures(html)) expect(unbalanced(svg)).toBeNull();
});

it('escapes by construction', () =>
  expect(markup`<i title="${'"<'}">${[markup`<b>${'&'}</b>`]}${1}</i>`.text).toBe(
    '<i title="&quot;&lt;"><b>&amp;</b>1</i>',
  ));

it('has a page before the first epoch', () =>
  expect(renderHtml(buildReport(sweepState({ trials: [], status: 'running' }), { now: BEGIN }))).toContain(
    'So far, no trial has a value of val_accuracy yet.',
  ));
