/** The feeds of a signature, checked against what a caller gives. */
import type { Feed, FeedValues, TensorSpec } from './signature.js';
import { sizeOf } from './signature.js';

export const feedsOf = (specs: Readonly<Record<string, TensorSpec>>): readonly Feed[] =>
  Object.entries(specs).map(([name, { shape, dtype = 'float32' }]) => ({
    name,
    spec: { shape, dtype },
    length: sizeOf(shape),
  }));

/**
 * The values of each feed, in their order.
 *
 * @throws Error for a feed that is missing, unknown, or of the wrong type or length.
 */
export function fedValues(
  signature: string,
  feeds: readonly Feed[],
  given: Readonly<Record<string, FeedValues>>,
): readonly { readonly feed: Feed; readonly values: FeedValues }[] {
  for (const name of Object.keys(given)) {
    if (!feeds.some((feed) => feed.name === name))
      throw new Error(`signature '${signature}' takes no feed '${name}'`);
  }
  return feeds.map((feed) => {
    const { name, spec, length } = feed;
    const values = given[name];
    if (values === undefined) throw new Error(`signature '${signature}' needs the feed '${name}'`);
    const typed = spec.dtype === 'float32' ? values instanceof Float32Array : values instanceof Int32Array;
    if (!typed || values.length !== length) {
      throw new Error(
        `feed '${name}' of signature '${signature}' takes ${length} ${spec.dtype} values of shape [${spec.shape.join()}], not ${values.length} in a ${values.constructor.name}`,
      );
    }
    return { feed, values };
  });
}
