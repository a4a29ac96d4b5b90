/** The coordinator's adapter to NATS; see `link.ts`. */
export {
  NatsLink,
  type NatsLinkOptions,
  type PublishOutcome,
  type FoundStream,
  type StreamBounds,
  type StreamMessage,
} from './link.js';
export { ensureStreams, type StreamOptions } from './streams.js';
export { openBucket, type Bucket, type BucketChange, type BucketEntry, type Written } from './bucket.js';
export { ObjectBucket } from './objects.js';
export { StoredCheckpoints } from './checkpoints.js';
export { StoredCode } from './code.js';
