/**
 * The keys of trusted issuers.
 *
 * Guarantees: they come from where the issuer's own discovery document says; one handler at a time fetches them, and after
 * a fetch, successful or not, nobody does for a while, whatever tokens are shown. What was fetched is kept in Postgres, since
 * a Worker remembers nothing. An issuer that is away is believed for an hour by the keys that it had.
 */
import { type CryptoKey, createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import type { IssuerFacts } from '../../db/queries/find-issuer.ts';
import { storeIssuerKeys } from '../../db/queries/store-issuer-keys.ts';
import { takeIssuerFetch } from '../../db/queries/take-issuer-fetch.ts';
import type { FetchJson } from '../outbound.ts';
import { refused } from './refused.ts';

/** After this the keys are fetched again. */
const MAX_AGE_SECONDS = 600;
/** After this nothing is believed by them any more. */
const MAX_STALE_SECONDS = 3600;
const COOL_DOWN_SECONDS = 30;
const MAX_KEYS = 64;

const DISCOVERY = z.object({ issuer: z.string(), jwks_uri: z.string() });
const KEY = z.object({
  kty: z.enum(['RSA', 'EC', 'OKP']),
  kid: z.string().min(1).max(256),
  use: z.literal('sig').optional(),
  alg: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
});

export type IssuerJwks = { readonly keys: readonly z.output<typeof KEY>[] };

/** Discovery and key set. @throws RefloatError `ISSUER_UNREACHABLE`, `ISSUER_INVALID` */
export async function fetchIssuerKeys(fetchJson: FetchJson, issuer: string): Promise<IssuerJwks> {
  const discovery = DISCOVERY.safeParse(
    await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
  );
  if (!discovery.success || discovery.data.issuer !== issuer) {
    throw new RefloatError('ISSUER_INVALID', 'the discovery document is not that of this issuer', {
      hint: 'The issuer must be written exactly as in its document, to the last slash.',
    });
  }
  const set = z
    .object({ keys: z.array(z.unknown()).max(MAX_KEYS) })
    .safeParse(await fetchJson(discovery.data.jwks_uri));
  // What is not for signatures, and what is secret, is nothing that we would verify with.
  const keys = (set.data?.keys ?? []).flatMap((key) => KEY.safeParse(key).data ?? []);
  if (keys.length > 0) return { keys };
  throw new RefloatError('ISSUER_INVALID', 'the issuer publishes no key that could be used', {
    hint: 'It needs RSA, EC or Ed25519 keys with a kid.',
  });
}

/**
 * The key that a token's header names.
 * @throws RefloatError `UNAUTHENTICATED` when the issuer has no such key; `ISSUER_UNREACHABLE`
 */
export async function issuerKey(
  db: Queryable,
  fetchJson: FetchJson,
  issuer: IssuerFacts,
  header: { readonly alg: string; readonly kid: string },
): Promise<CryptoKey> {
  const { jwks, ageSeconds } = issuer;
  const known = jwks === null ? undefined : await select(jwks, header);
  if (known !== undefined && ageSeconds !== null && ageSeconds < MAX_AGE_SECONDS) return known;
  const fetched = await fetchInTurn(db, fetchJson, issuer);
  if (fetched !== null) {
    const key = await select(fetched, header);
    if (key !== undefined) return key;
    throw unknownKey();
  }
  if (known !== undefined && ageSeconds !== null && ageSeconds < MAX_STALE_SECONDS) return known;
  if (jwks !== null && ageSeconds !== null && ageSeconds < MAX_STALE_SECONDS) throw unknownKey();
  throw new RefloatError('ISSUER_UNREACHABLE', `the keys of the issuer "${issuer.name}" cannot be fetched`, {
    hint: 'Try again in half a minute; if it lasts, look at the issuer.',
    disposition: 'retry',
  });
}

/** Null when it is not our turn, or the issuer is away. */
async function fetchInTurn(db: Queryable, fetchJson: FetchJson, issuer: IssuerFacts): Promise<IssuerJwks | null> {
  if (!(await takeIssuerFetch(db, issuer.id, COOL_DOWN_SECONDS))) return null;
  try {
    const jwks = await fetchIssuerKeys(fetchJson, issuer.issuer);
    await storeIssuerKeys(db, issuer.id, jwks);
    return jwks;
  } catch (thrown) {
    if (thrown instanceof RefloatError) return null;
    throw thrown;
  }
}

async function select(
  jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] },
  header: { readonly alg: string; readonly kid: string },
): Promise<CryptoKey | undefined> {
  try {
    return await createLocalJWKSet(jwks as unknown as JSONWebKeySet)({ alg: header.alg, kid: header.kid });
  } catch {
    return undefined;
  }
}

function unknownKey(): RefloatError {
  return refused('the token is not signed with a key of its issuer');
}
