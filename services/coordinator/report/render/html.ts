/** The report as one HTML file that asks the network for nothing: no script, no font, no image from elsewhere. */
import type { Report } from '../types.js';
import { toDocument, type Block, type PlotName, type Section } from './document.js';
import { momentText } from './format.js';
import { Markup, markup, nothing } from './markup.js';
import { barPlots } from './plots/bars.js';
import { curvesPlot } from './plots/curves.js';
import { assignSeries, type Series } from './plots/series.js';
import { tradeoffPlot } from './plots/tradeoff.js';
import { style } from './style.js';
import type { Table } from './tables.js';

/** Columns of sentences, which may wrap. */
const WIDE = new Set(['why', 'note']);

/** A setting's name breaks between its parameters only, and never within `1e-3`; the dot stays with what it follows. */
function settingName(name: string): Markup {
  const parts = name.split(' · ');
  return markup`${parts.map((part, i) => markup`<span>${part}${i < parts.length - 1 ? ' ·' : ''}</span> `)}`;
}

function renderTable(name: string, { columns, rows }: Table): Markup {
  const head = columns.map(
    ({ title, numeric }) =>
      markup`<th scope="col"${numeric ? new Markup(' class="n"') : nothing}>${title}</th>`,
  );
  const body = rows.map(
    (row) =>
      markup`<tr>${row.map(({ text, strong }, i) => {
        const column = columns[i];
        if (column?.title === 'setting') return markup`<th scope="row">${settingName(text)}</th>`;
        const classes = [
          ...(column?.numeric === true ? ['n'] : []),
          ...(strong === true ? ['best'] : []),
          ...(WIDE.has(column?.title ?? '') ? ['wide'] : []),
        ];
        return markup`<td class="${classes.join(' ')}">${text}</td>`;
      })}</tr>\n`,
  );
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="${name}"><table><thead><tr>${head}</tr></thead>\n<tbody>\n${body}</tbody></table></div>\n`;
}

function renderPlots(report: Report, series: Series, plots: readonly PlotName[]): Markup {
  const figures = plots.flatMap((plot): readonly Markup[] => {
    switch (plot) {
      case 'curves':
        return [curvesPlot(report, series, 'whole')];
      case 'closeup':
        return [curvesPlot(report, series, 'close')];
      case 'tradeoff':
        return [tradeoffPlot(report, series)];
      case 'bars':
        return barPlots(report, series);
    }
  });
  const drawn = figures.filter((plot) => plot.text !== '');
  if (plots.includes('bars')) return markup`<div class="plots small">${drawn}</div>\n`;
  // Two columns: beside the last of three there is room for the legend, else it goes below.
  return drawn.length % 2 === 1
    ? markup`<div class="plots">${drawn}${series.legend}</div>\n`
    : markup`<div class="plots">${drawn}</div>\n<div class="below">${series.legend}</div>\n`;
}

function renderBlock(report: Report, series: Series, block: Block): Markup {
  switch (block.kind) {
    case 'text':
      return markup`<p>${block.text}</p>\n`;
    case 'list':
      return markup`<ul>${block.items.map((item) => markup`<li>${item}</li>\n`)}</ul>\n`;
    case 'table':
      return renderTable(block.name, block.table);
    case 'plots':
      return renderPlots(report, series, block.plots);
  }
}

function renderSection(report: Report, series: Series, section: Section): Markup {
  const isCare = section.title === 'Read with care';
  const body = section.blocks.map((block) => renderBlock(report, series, block));
  return markup`<section${isCare ? new Markup(' class="care"') : nothing}><h2>${section.title}</h2>\n${body}</section>\n`;
}

export function renderHtml(report: Report): string {
  const document = toDocument(report);
  const series = assignSeries(report);
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${document.title} – sweep report</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<h1>${document.title}</h1>
<p class="answer">${document.answer}</p>
<dl>${document.facts.map(([label, text]) => markup`<dt>${label}</dt><dd>${text}</dd>\n`)}</dl>
</header>
<main>
${document.sections.map((section) => renderSection(report, series, section))}</main>
<footer>Wattsweep report of ${report.sweep.sweepId}, made ${momentText(report.sweep.generatedAt)}.</footer>
</body>
</html>
`;
  return page.text;
}
