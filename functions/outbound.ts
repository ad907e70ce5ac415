/**
 * JSON from an address that an admin entered: the keys of a trusted issuer.
 *
 * Guarantees: HTTPS, no redirects, nothing sent but the request, an answer within seconds and of bounded size; an address that
 * says itself that it is not public is refused unless the server is configured to reach it.
 * Does not guarantee: what a name resolves to; `outbound-node.ts` looks at that where the program shares a network with
 * others. A Worker shares none.
 */
import ipaddr from 'ipaddr.js';
import { RefloatError } from '../db/errors.ts';

export type FetchJson = (url: string) => Promise<unknown>;

/** `private`: issuers in private networks too. `loopback`: those of this very machine too, also by plain HTTP; for tests. */
export const ISSUER_ACCESS = ['public', 'private', 'loopback'] as const;
export type IssuerAccess = (typeof ISSUER_ACCESS)[number];

export const OUTBOUND_TIMEOUT_MS = 5000;
const MAX_OUTBOUND_BYTES = 256 * 1024;

/** Through `fetch`, as on Workers. */
export function fetchJsonBy(access: IssuerAccess): FetchJson {
  return async (text) => {
    const url = checkedUrl(text, access);
    try {
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { accept: 'application/json' },
        signal: AbortSignal.timeout(OUTBOUND_TIMEOUT_MS),
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw badAnswer(url, `it answered with status ${response.status}`);
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body ?? []) {
        chunks.push(chunk);
        requireBounded(url, chunks);
      }
      return parsedJson(url, chunks);
    } catch (thrown) {
      throw thrown instanceof RefloatError ? thrown : unreachable(url);
    }
  };
}

/** @throws RefloatError `ISSUER_INVALID` */
export function checkedUrl(text: string, access: IssuerAccess): URL {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new RefloatError('ISSUER_INVALID', 'this is not the address of an issuer', {
      hint: 'Give an https address without a login and a fragment.',
    });
  }
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const local = host === 'localhost' || host.endsWith('.localhost') || rangeOf(host) === 'loopback';
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local && access === 'loopback')) {
    throw new RefloatError('ISSUER_INVALID', `${url.origin} is not https`, {
      hint: 'Keys that come in the clear can be anybody’s.',
    });
  }
  if ((local && access !== 'loopback') || (rangeOf(host) !== undefined && !isAllowed(host, access)))
    throw notPublic(host);
  return url;
}

/** Whether a handler may connect to this address. */
export function isAllowed(address: string, access: IssuerAccess): boolean {
  const range = rangeOf(address);
  if (range === 'unicast') return true;
  if (range === 'loopback') return access === 'loopback';
  return access !== 'public' && (range === 'private' || range === 'uniqueLocal' || range === 'carrierGradeNat');
}

/** Undefined: not an address but a name. An IPv4 address inside an IPv6 one counts as itself. */
function rangeOf(host: string): string | undefined {
  return ipaddr.isValid(host) ? ipaddr.process(host).range() : undefined;
}

export function requireBounded(url: URL, chunks: readonly Uint8Array[]): void {
  if (chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0) <= MAX_OUTBOUND_BYTES) return;
  throw badAnswer(url, `it answered with more than ${MAX_OUTBOUND_BYTES} bytes`);
}

export function parsedJson(url: URL, chunks: readonly Uint8Array[]): unknown {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return JSON.parse(chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join('') + decoder.decode());
  } catch {
    throw badAnswer(url, 'it answered with something that is not JSON');
  }
}

export function badAnswer(url: URL, what: string): RefloatError {
  return new RefloatError('ISSUER_UNREACHABLE', `${url.origin}${url.pathname} gives no keys: ${what}`, {
    hint: 'Look at the address of the issuer. Redirects are not followed.',
    disposition: 'retry',
  });
}

export function unreachable(url: URL): RefloatError {
  return new RefloatError('ISSUER_UNREACHABLE', `${url.origin} does not answer`, {
    hint: 'Try again; if it lasts, look at the issuer and the network between.',
    disposition: 'retry',
  });
}

export function notPublic(host: string): RefloatError {
  return new RefloatError('ISSUER_INVALID', `${host} is not a public address`, {
    hint: 'Issuers in private networks must be allowed by the server: REFLOAT_ISSUER_ACCESS=private.',
  });
}
