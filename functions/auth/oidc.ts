/**
 * Signing in at an OIDC issuer: authorization code with PKCE, `state` and `nonce`.
 *
 * Guarantees: an answer counts once, in the browser that asked, for what it asked; the ID token's signature is checked
 * with the issuer's keys and an asymmetric algorithm, and so are issuer, audience, expiry, nonce and, for a proof, the time of
 * the sign-in.
 */
import * as client from 'openid-client';
import { RefloatError } from '../../db/errors.ts';
import { isLoopback, type OidcConfig } from './oidc-config.ts';

/** Neither `none` nor a secret that both sides know. */
const ALGORITHMS: ReadonlySet<string> = new Set([
  'RS256',
  'PS256',
  'ES256',
  'ES384',
  'PS384',
  'RS384',
  'EdDSA',
  'Ed25519',
]);
const TIMEOUT_SECONDS = 10;
/** How long what the issuer says of itself is good. */
const DISCOVERY_MS = 3_600_000;

export interface OidcClient {
  readonly config: OidcConfig;
  /** Throws `OIDC_UNAVAILABLE` while the issuer cannot be asked. */
  discovered(): Promise<client.Configuration>;
}

export function oidcClient(config: OidcConfig, now: () => Date): OidcClient {
  // The result, not the promise: on Workers a request must not wait for another request's answer.
  let known: { readonly at: number; readonly configuration: client.Configuration } | undefined;
  return {
    config,
    discovered: async () => {
      if (known !== undefined && now().getTime() - known.at < DISCOVERY_MS) return known.configuration;
      const configuration = await discover(config);
      known = { at: now().getTime(), configuration };
      return configuration;
    },
  };
}

async function discover({ issuer, clientId, clientSecret }: OidcConfig): Promise<client.Configuration> {
  try {
    return await client.discovery(issuer, clientId, {}, clientAuth(clientSecret), {
      timeout: TIMEOUT_SECONDS,
      execute: [client.enableNonRepudiationChecks, ...(isLoopback(issuer) ? [client.allowInsecureRequests] : [])],
    });
  } catch (cause) {
    throw new RefloatError('OIDC_UNAVAILABLE', 'the issuer does not say how to sign in', {
      hint: 'Check REFLOAT_OIDC_ISSUER, and that this server reaches the issuer.',
      disposition: 'retry',
      cause: causeOf(cause),
    });
  }
}

/** In the header, as every issuer must accept it, unless this one says that it wants the body. */
function clientAuth(secret: string | undefined): client.ClientAuth {
  if (secret === undefined) return client.None();
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const method = methods.includes('client_secret_basic') ? client.ClientSecretBasic : client.ClientSecretPost;
    return method(secret)(server, ...rest);
  };
}

/** What the browser is sent to the issuer with, and what the answer is checked against. */
export interface Departure {
  readonly url: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** @param maxAgeSeconds the person must have signed in there within it, and is asked to now; undefined: whenever */
export async function depart(
  oidc: OidcClient,
  redirectUri: string,
  maxAgeSeconds: number | undefined,
): Promise<Departure> {
  const [state, nonce, verifier] = [client.randomState(), client.randomNonce(), client.randomPKCECodeVerifier()];
  const url = client.buildAuthorizationUrl(await oidc.discovered(), {
    redirect_uri: redirectUri,
    scope: oidc.config.scope,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(maxAgeSeconds === undefined ? {} : { max_age: String(maxAgeSeconds), prompt: 'login' }),
  });
  return { url: url.href, state, nonce, verifier };
}

export type Claims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string };

/**
 * Exchanges the code for the ID token, and returns its claims.
 * Throws `OIDC_FAILED` for whatever is not in order.
 * @param answer the redirect URI with the parameters of the issuer's answer
 */
export async function arrive(
  oidc: OidcClient,
  answer: URL,
  departure: Omit<Departure, 'url'>,
  maxAgeSeconds: number | undefined,
): Promise<Claims> {
  const configuration = await oidc.discovered();
  try {
    const tokens = await client.authorizationCodeGrant(configuration, answer, {
      expectedState: departure.state,
      expectedNonce: departure.nonce,
      pkceCodeVerifier: departure.verifier,
      idTokenExpected: true,
      ...(maxAgeSeconds === undefined ? {} : { maxAge: maxAgeSeconds }),
    });
    const [header = ''] = (tokens.id_token ?? '').split('.');
    const { alg } = JSON.parse(atob(header.replaceAll('-', '+').replaceAll('_', '/'))) as { alg?: string };
    const claims = tokens.claims();
    if (claims === undefined || alg === undefined || !ALGORITHMS.has(alg))
      throw new Error('the ID token has an algorithm that is not accepted');
    return claims;
  } catch (cause) {
    throw new RefloatError('OIDC_FAILED', 'the answer of the issuer is not in order', {
      hint: 'Begin again. If it stays so, see the log of the server.',
      cause: causeOf(cause),
    });
  }
}

/** What went wrong, without the tokens and responses that the library's errors carry. */
function causeOf(thrown: unknown): Error {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown';
  const message = thrown instanceof Error ? thrown.message : 'unknown';
  return new Error(`${code}: ${message}`);
}
