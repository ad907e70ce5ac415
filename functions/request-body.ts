/**
 * The body of a request, looked at only where there is one: on Node a look at `Request.body` makes a whole Request, with streams, of
 * what the server has read.
 */
import { RefloatError } from '../db/errors.ts';
import type { AppContext } from './deps.ts';

/**
 * How long the body is by the request's own framing (RFC 9112, section 6), which the server below holds it to; undefined if only
 * reading it will tell.
 */
export function declaredBytes(c: AppContext): number | undefined {
  if (c.req.header('transfer-encoding') !== undefined) return undefined;
  const length = c.req.header('content-length');
  if (length !== undefined) return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  return isHttp1(c) ? 0 : undefined;
}

/** Empty if there is none. */
export async function bodyBytes(c: AppContext): Promise<ArrayBuffer> {
  return declaredBytes(c) === 0 ? new ArrayBuffer(0) : c.req.arrayBuffer();
}

/** Throws `BAD_REQUEST` if it is not UTF-8: what stands for a bad byte would be kept as if it had been said. */
export async function bodyText(c: AppContext): Promise<string> {
  const bytes = await bodyBytes(c);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RefloatError('BAD_REQUEST', 'the body is not UTF-8', { hint: 'Send JSON in UTF-8 (RFC 8259).' });
  }
}

/** From HTTP/2 on a body needs neither header. */
function isHttp1({ env }: AppContext): boolean {
  const incoming = env?.['incoming'];
  return (
    typeof incoming === 'object' &&
    incoming !== null &&
    'httpVersionMajor' in incoming &&
    incoming.httpVersionMajor === 1
  );
}
