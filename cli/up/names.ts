/** Names of services: tokens that may stand in subjects, bucket keys and metric labels. */
import { hostname } from 'node:os';

/** The host's name as a token; `box` when nothing of it is left. */
export function defaultName(host: string = hostname()): string {
  const token = (host.split('.')[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return token === '' ? 'box' : token;
}
