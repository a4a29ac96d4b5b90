/** One POST to a webhook. What it says of a failure holds nothing of the URL but what the caller adds: paths are secrets. */

interface Message {
  readonly deliveryId: string;
  /** JSON. */
  readonly body: string;
  readonly signal: AbortSignal;
}

export interface Answer {
  /** 2xx. */
  readonly ok: boolean;
  /** In words. */
  readonly message: string;
}

/** Never rejects. */
export type Post = (webhook: string, message: Message) => Promise<Answer>;

const TIMEOUT_MS = 10_000;

/** Header that carries the delivery id. */
const DELIVERY_HEADER = 'Wattsweep-Delivery-Id';

/** By the platform's fetch. A redirect is not followed: it may lead where nobody wanted to send anything. */
export const postJson: Post = async (webhook, { deliveryId, body, signal }) => {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const { url, authorization } = withoutUser(webhook);
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'wattsweep',
        [DELIVERY_HEADER]: deliveryId,
        ...authorization,
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, timeout]),
    });
    await response.body?.cancel().catch(() => undefined);
    const redirects = response.status >= 300 && response.status < 400 ? ', a redirect' : '';
    return { ok: response.ok, message: `the answer was ${response.status}${redirects}` };
  } catch (error) {
    if (timeout.aborted) return { ok: false, message: `no answer within ${TIMEOUT_MS / 1_000} s` };
    return { ok: false, message: `no connection${causeOf(error)}` };
  }
};

/** `https://user:password@host` as a header: fetch takes no such URL, and its error would show it. */
function withoutUser(webhook: string): { url: URL; authorization: Readonly<Record<string, string>> } {
  const url = new URL(webhook);
  const { username, password } = url;
  if (username === '' && password === '') return { url, authorization: {} };
  url.username = '';
  url.password = '';
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, authorization: { Authorization: `Basic ${Buffer.from(user).toString('base64')}` } };
}

/** The code alone: messages may hold the address. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : null;
  return typeof code === 'string' ? ` (${code})` : '';
}
