import { WattsweepError } from '../../../proto/errors.js';

const MAX_LENGTH = 60;
const MAX_TAGS = 50;

/** @throws USAGE for tags that cannot be typed, or too many */
export function checkTags(tags: readonly string[]): void {
  if (tags.length > MAX_TAGS)
    throw new WattsweepError('USAGE', `${tags.length} tags are too many; at most ${MAX_TAGS} at once`);
  for (const tag of tags) {
    if (/^[^\s,\p{C}]+$/u.test(tag) && tag.length <= MAX_LENGTH) continue;
    const shown = JSON.stringify(tag.slice(0, MAX_LENGTH));
    throw new WattsweepError(
      'USAGE',
      `a tag is one word of at most ${MAX_LENGTH} characters without commas, not ${shown}`,
    );
  }
}
