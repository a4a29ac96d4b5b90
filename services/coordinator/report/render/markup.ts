/** HTML and SVG text in which everything is escaped unless it is markup already. */

export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Part = string | number | Markup | readonly Markup[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Characters that XML cannot hold are replaced, so that one odd byte of a program's text breaks no picture. */
export const escapeHtml = (text: string): string =>
  text
    .replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)
    .replace(/[^\P{Cc}\t\n\r]|[\uFFFE\uFFFF]/gu, '\uFFFD');

function render(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  return part.map((markup) => markup.text).join('');
}

/** Template tag: markup`<b>${anything}</b>`. Only {@link Markup} goes in unescaped. */
export const markup = (strings: TemplateStringsArray, ...parts: readonly Part[]): Markup =>
  new Markup(strings.map((text, i) => text + (i < parts.length ? render(parts[i] ?? '') : '')).join(''));

export const nothing = new Markup('');
