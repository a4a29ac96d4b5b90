/** The report as GitHub-flavoured Markdown, readable as plain text too. */
import type { Report } from '../types.js';
import { toDocument, type Block } from './document.js';
import type { Table } from './tables.js';

/**
 * Text that Markdown shows as it stands, inside a line. An underscore within a word means nothing to it, so
 * `val_accuracy` stays readable; a `>` that opens no line neither.
 */
const escapeInline = (text: string): string =>
  oneLine(text)
    .replace(/[\\`*|[\]~]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\_');

/** The same where it opens a line: no heading, list, quote or number of a list either. */
export const escapeMarkdown = (text: string): string =>
  escapeInline(text)
    .replace(/^([#+>=-])/, '\\$1')
    .replace(/^(\d+)([.)])/, '$1\\$2');

/** Line ends and control characters become a space: a name of a program's making stays on its line. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();

function cellText(text: string, strong: boolean): string {
  const escaped = escapeInline(text);
  return strong && escaped !== '' ? `**${escaped}**` : escaped;
}

const characters = (text: string): number => Array.from(text).length;

function renderTable({ columns, rows }: Table): string {
  const texts = [
    columns.map(({ title }) => escapeInline(title)),
    ...rows.map((row) => row.map(({ text, strong }) => cellText(text, strong ?? false))),
  ];
  const widths = columns.map((_, i) => Math.max(3, ...texts.map((row) => characters(row[i] ?? ''))));
  const line = (row: readonly string[]): string => {
    const padded = row.map((text, i) => {
      const room = ' '.repeat(Math.max(0, (widths[i] ?? 0) - characters(text)));
      return columns[i]?.numeric === true ? room + text : text + room;
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = columns.map(({ numeric }, i) => {
    const dashes = '-'.repeat(Math.max(2, (widths[i] ?? 0) - 1));
    return numeric ? `${dashes}:` : `${dashes}-`;
  });
  const [head = [], ...body] = texts;
  return [line(head), line(rule), ...body.map(line)].join('\n');
}

function renderBlock(block: Block): readonly string[] {
  switch (block.kind) {
    case 'text':
      return [escapeMarkdown(block.text)];
    case 'list':
      return [block.items.map((item) => `- ${escapeMarkdown(item)}`).join('\n')];
    case 'table':
      return [renderTable(block.table)];
    case 'plots':
      return [];
  }
}

export function renderMarkdown(report: Report): string {
  const { title, answer, facts, sections } = toDocument(report);
  const parts = [
    `# ${escapeMarkdown(title)}`,
    `**${escapeMarkdown(answer)}**`,
    facts.map(([label, text]) => `- ${label}: ${escapeMarkdown(text)}`).join('\n'),
    ...sections.flatMap((section) => [`## ${section.title}`, ...section.blocks.flatMap(renderBlock)]),
  ];
  return `${parts.join('\n\n')}\n`;
}
