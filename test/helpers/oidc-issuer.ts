/**
 * An OIDC issuer on loopback: discovery, keys, an authorization endpoint at which somebody is always signed in, and a token
 * endpoint that insists on PKCE, the client's secret, and each code once. Tests have it answer wrongly.
 */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const CLIENT = { id: 'refloat-test', secret: 'a-client-secret' };

/** How the next answers differ from good ones. */
export interface Lie {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Signed by a key that is not the issuer's; or with no signature at all. */
  readonly signature?: 'stranger' | 'none' | 'client-secret';
  readonly withoutIdToken?: boolean;
  /** Parameters of the redirect back. */
  readonly redirect?: Readonly<Record<string, string>>;
}

export interface OidcIssuer {
  readonly url: string;
  /** Environment of a control plane that trusts it. */
  env(rules: readonly object[]): Record<string, string>;
  /** Who is signed in there, as claims of the ID token. */
  person: Readonly<Record<string, unknown>>;
  lie: Lie;
  /** What the last authorization request asked for. */
  asked: URLSearchParams;
  close(): void;
}

interface Code {
  readonly nonce: string | null;
  readonly challenge: string | null;
  readonly redirectUri: string | null;
}

export async function startOidcIssuer(): Promise<OidcIssuer> {
  const keys = await generateKeyPair('RS256', { extractable: true });
  const stranger = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
  const codes = new Map<string, Code>();

  const idToken = async (code: Code): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer.url,
      aud: CLIENT.id,
      iat: now,
      exp: now + 300,
      auth_time: now,
      nonce: code.nonce ?? undefined,
      ...issuer.person,
      ...issuer.lie.claims,
    };
    const header = { alg: 'RS256', kid: 'one', typ: 'JWT', ...issuer.lie.header };
    if (issuer.lie.signature === 'none') {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      return `${part({ ...header, alg: 'none' })}.${part(claims)}.`;
    }
    if (issuer.lie.signature === 'client-secret') {
      const secret = new TextEncoder().encode(CLIENT.secret.padEnd(32, '-'));
      return new SignJWT(claims).setProtectedHeader({ ...header, alg: 'HS256' }).sign(secret);
    }
    const key = issuer.lie.signature === 'stranger' ? stranger.privateKey : keys.privateKey;
    return new SignJWT(claims).setProtectedHeader(header).sign(key);
  };

  const authorize = (url: URL): { status: number; headers: Record<string, string> } => {
    issuer.asked = url.searchParams;
    const code = randomUUID();
    codes.set(code, {
      nonce: url.searchParams.get('nonce'),
      challenge: url.searchParams.get('code_challenge'),
      redirectUri: url.searchParams.get('redirect_uri'),
    });
    const back = new URL(url.searchParams.get('redirect_uri') ?? '');
    const answer = { code, state: url.searchParams.get('state') ?? '', ...issuer.lie.redirect };
    for (const [name, value] of Object.entries(answer)) back.searchParams.set(name, value);
    return { status: 302, headers: { location: back.href } };
  };

  const token = async (form: URLSearchParams, authorization: string): Promise<[number, unknown]> => {
    const code = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    // RFC 6749, 2.3.1: both are form-encoded before they are put together.
    const [id, secret] = atob(authorization.replace(/^Basic /, ''))
      .split(':')
      .map(decodeURIComponent);
    if (id !== CLIENT.id || secret !== CLIENT.secret) return [401, { error: 'invalid_client' }];
    if (code === undefined || code.challenge !== verifier || code.redirectUri !== form.get('redirect_uri'))
      return [400, { error: 'invalid_grant' }];
    const more = issuer.lie.withoutIdToken === true ? {} : { id_token: await idToken(code) };
    return [200, { access_token: randomUUID(), token_type: 'Bearer', expires_in: 60, ...more }];
  };

  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', issuer.url);
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname === '/.well-known/openid-configuration') json(200, metadata(issuer.url));
    else if (url.pathname === '/jwks') json(200, { keys: [jwk] });
    else if (url.pathname === '/authorize') {
      const { status, headers } = authorize(url);
      response.writeHead(status, headers).end();
    } else if (url.pathname === '/token') {
      let text = '';
      for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
      const [status, body] = await token(new URLSearchParams(text), request.headers.authorization ?? '');
      json(status, body);
    } else json(404, {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer: OidcIssuer = {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    env: (rules) => ({
      REFLOAT_OIDC_ISSUER: issuer.url,
      REFLOAT_OIDC_CLIENT_ID: CLIENT.id,
      REFLOAT_OIDC_CLIENT_SECRET: CLIENT.secret,
      REFLOAT_OIDC_ROLES: JSON.stringify(rules),
    }),
    person: { sub: 'nobody' },
    lie: {},
    asked: new URLSearchParams(),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return issuer;
}

function metadata(url: string): Record<string, unknown> {
  return {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
  };
}
