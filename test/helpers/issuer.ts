/** An issuer of tokens, as a CI system has one: discovery, a key set that tests exchange, and tokens of any form. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface TestIssuer {
  readonly url: string;
  /** Requests by path, newest last. */
  readonly requests: string[];
  /** What it answers; by default its keys. */
  answer: (path: string) => {
    readonly status?: number;
    readonly headers?: Record<string, string>;
    readonly body: string;
  };
  /** Signs with a new key from now on; the set has only this one. */
  rotate(): Promise<void>;
  /** As GitHub Actions writes it; `claims` and `header` replace, undefined removes. */
  token(claims?: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>;
  readonly keys: () => IssuerKeys;
}

interface IssuerKeys {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

export const AUDIENCE = 'https://refloat.example.org';

/** Call it at the top of a test file: it ends with the file. */
export async function testIssuer(alg: 'RS256' | 'ES256' = 'RS256'): Promise<TestIssuer> {
  let keys = await newKeys(alg);
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    requests.push(request.url ?? '');
    const { status = 200, headers = {}, body } = issuer.answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer: TestIssuer = {
    url,
    requests,
    answer: (path) =>
      path === '/.well-known/openid-configuration'
        ? { body: JSON.stringify({ issuer: url, jwks_uri: `${url}/jwks` }) }
        : { body: JSON.stringify({ keys: [keys.publicJwk] }) },
    rotate: async () => {
      keys = await newKeys(alg);
    },
    token: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const all: Record<string, unknown> = {
        iss: url,
        aud: AUDIENCE,
        sub: 'repo:acme/shop:ref:refs/heads/main',
        jti: randomUUID(),
        iat: now,
        nbf: now - 5,
        exp: now + 300,
        repository: 'acme/shop',
        ref: 'refs/heads/main',
        ...claims,
      };
      return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
        .setProtectedHeader({ alg, typ: 'JWT', kid: keys.kid, x5t: 'AAAA', ...header })
        .sign(keys.privateKey);
    },
    keys: () => keys,
  };
  return issuer;
}

async function newKeys(alg: string): Promise<IssuerKeys> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = randomUUID();
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg } };
}
