/**
 * As `outbound.ts`, on Node: the connection goes to the very address that was looked at, so that a name cannot resolve to
 * one thing for the check and to another for the connection.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { RefloatError } from '../db/errors.ts';
import {
  badAnswer,
  checkedUrl,
  type FetchJson,
  type IssuerAccess,
  isAllowed,
  notPublic,
  OUTBOUND_TIMEOUT_MS,
  parsedJson,
  requireBounded,
  unreachable,
} from './outbound.ts';

/** @param resolve stands in for the system's resolver in tests */
export function nodeFetchJson(access: IssuerAccess, resolve: typeof dnsLookup = dnsLookup): FetchJson {
  return async (text) => {
    const url = checkedUrl(text, access);
    try {
      const request = (url.protocol === 'https:' ? https : http).get(url, {
        agent: false,
        lookup: guardedLookup(access, resolve),
        headers: { accept: 'application/json' },
        signal: AbortSignal.timeout(OUTBOUND_TIMEOUT_MS),
      });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      try {
        if (response.statusCode !== 200) throw badAnswer(url, `it answered with status ${response.statusCode}`);
        const chunks: Buffer[] = [];
        for await (const chunk of response as AsyncIterable<Buffer>) {
          chunks.push(chunk);
          requireBounded(url, chunks);
        }
        return parsedJson(url, chunks);
      } finally {
        response.destroy();
      }
    } catch (thrown) {
      throw thrown instanceof RefloatError ? thrown : unreachable(url);
    }
  };
}

function guardedLookup(access: IssuerAccess, resolve: typeof dnsLookup): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const addresses = (error === null ? found : []) as LookupAddress[];
      const [first] = addresses;
      if (error !== null || first === undefined) done(error ?? new Error('no address'), []);
      // One that is not allowed is enough: which of them is used is left to chance.
      else if (!addresses.every(({ address }) => isAllowed(address, access)))
        done(notPublic(hostname) as NodeJS.ErrnoException, []);
      else if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}
