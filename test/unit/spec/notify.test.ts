/** `notify` of a sweep file; and that no message about the file shows the rest of its URL. */
import { expect, test } from 'vitest';
import { compareSpecs, differenceText, parseSweepFile } from '../../../services/coordinator/spec/index.js';

const FILE = `name: n
recipe: resnet-cifar10
objective: { metric: val_accuracy }
max_epochs: 2
`;
const URL_WITH_SECRET = 'https://user:pw@hooks.example.com:8443/T0KEN/x?k=T0KEN';

const notifyOf = (notify: string) => parseSweepFile(`${FILE}notify: ${notify}\n`).spec.notify;

function messageOf(text: string, overrides: readonly string[] = []): string {
  try {
    parseSweepFile(text, { overrides });
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing is wrong with it');
}

test('is a URL and, if not everything, when it is told', () => {
  const webhook = URL_WITH_SECRET;
  expect(parseSweepFile(FILE).spec.notify).toBeUndefined();
  expect(notifyOf(`{ webhook: "${webhook}" }`)).toEqual({ webhook, on: ['end', 'failure', 'budget'] });
  expect(notifyOf('{ webhook: http://h/, on: [budget, end, end] }')?.on).toEqual(['end', 'budget']);
});

test.each([
  [`{ webhok: ${URL_WITH_SECRET} }`, /no key `webhok`.*did you mean `webhook`/s],
  [`{ webhook: ${URL_WITH_SECRET}, on: [ends] }`, /found "ends".*did you mean `end`/s],
  [`{ webhook: ${URL_WITH_SECRET}, on: [] }`, /the list is empty/],
  [`{ webhook: ftp://h/T0KEN }`, /`?an http or https URL/],
  [`{ webhook: h/T0KEN }`, /an http or https URL/],
  [`{ webhook: "http://[/T0KEN" }`, /not a URL.*an http or https URL/s],
  [`{ webhook: [h/T0KEN] }`, /expected text/],
  [`h/T0KEN`, /a map/],
  [`{ on: [end] }`, /`webhook` is missing/],
])('%s is refused with what would be right, and shows no secret', (notify, expected) => {
  const message = messageOf(`${FILE}notify: ${notify}\n`);
  expect(message).toMatch(expected);
  expect(message).not.toMatch(/T0KEN|pw@/);
});

test('an override that is refused shows no secret either', () => {
  for (const override of [`notify.webhook=ftp://h/T0KEN`, `notify={webhook: ${URL_WITH_SECRET}, o: 1}`])
    expect(messageOf(FILE, [override])).not.toMatch(/T0KEN|pw@/);
});

test('a file with another URL differs, by its host', () => {
  const one = parseSweepFile(`${FILE}notify: { webhook: https://a.example/T0KEN }\n`).spec;
  const other = parseSweepFile(`${FILE}notify: { webhook: https://b.example/T0KEN }\n`).spec;
  const [text = ''] = compareSpecs(one, other).map(differenceText);
  expect(text).toMatch(/^notify\.webhook: .*a\.example.*, in the file .*b\.example/);
  expect(text).not.toContain('T0KEN');
});
