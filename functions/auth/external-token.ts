/**
 * Tokens of trusted issuers: a job of a CI system shows the token that this system gave it, and no secret is stored.
 *
 * Guarantees: the issuer is known by name, its keys come from itself, the algorithms are the ones that an admin fixed for it;
 * what the token may do stands in our rules alone, whatever it says of itself.
 */
import { type CryptoKey, compactVerify } from 'jose';
import { RefloatError } from '../../db/errors.ts';
import { findIssuer, type IssuerFacts } from '../../db/queries/find-issuer.ts';
import { isStorable } from '../../db/storable.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { type Claims, checkClaims } from './claims.ts';
import type { CompactJwt } from './compact-jwt.ts';
import { issuerKey } from './issuer-keys.ts';
import { matchingRule } from './issuer-rules.ts';
import type { Automation } from './principal.ts';
import { refused } from './refused.ts';

/** A token that lives longer is a stored secret again. */
const MAX_EXTERNAL_SECONDS = 24 * 3600;
/** Header `typ`: an access token by RFC 9068, or what CI systems write. Ours have types of their own, and are not among them. */
const TYPES: ReadonlySet<string> = new Set(['JWT', 'at+jwt']);

/** @throws RefloatError `UNAUTHENTICATED`; `FORBIDDEN` when no rule matches; `ISSUER_UNREACHABLE` */
export async function verifyExternal(c: AppContext, deps: AppDeps, token: CompactJwt): Promise<Automation> {
  const { payload } = token;
  const iss = payload['iss'];
  const issuer =
    typeof iss === 'string' && iss.length <= 1024 && isStorable(iss) ? await findIssuer(c.get('db'), iss) : null;
  if (issuer === null) throw refused('the token is of an issuer that is not trusted (iss)');
  const { sub, jti, expiresAt } = await verifiedClaims(token, issuer, deps.now(), () =>
    issuerKey(c.get('db'), deps.fetchJson, issuer, token.header),
  );
  const rule = matchingRule(issuer.rules, payload);
  if (rule === undefined) {
    throw new RefloatError('FORBIDDEN', `no rule for the issuer "${issuer.name}" matches the claims of this token`, {
      hint: 'An admin adds one with: refloat issuers add. Its conditions must hold for the claims that the job’s token has.',
      details: { issuer: issuer.name },
    });
  }
  const subject = `${issuer.name}:${sub}`;
  return {
    kind: 'automation',
    jti,
    issuerId: issuer.id,
    actor: `issuer:${subject}`,
    subject,
    scopes: new Set(rule.scopes),
    workloads: rule.workloads === undefined ? null : new Set(rule.workloads.map((id) => id.toLowerCase())),
    projects: rule.projects === undefined ? null : new Set(rule.projects),
    expiresAt,
  };
}

/**
 * What a token of this issuer says, once everything about it is right.
 * @param keyOf is asked last: what is wrong anyway makes nobody fetch keys
 */
export async function verifiedClaims(
  { header, payload, text }: CompactJwt,
  issuer: Pick<IssuerFacts, 'issuer' | 'audience' | 'algorithms'>,
  now: Date,
  keyOf: () => Promise<CryptoKey>,
): Promise<Claims> {
  if (!issuer.algorithms.includes(header.alg))
    throw refused('the token is signed by an algorithm that is not its issuer’s (alg)');
  if (!TYPES.has(header.typ)) throw refused('the token is of another kind (typ)');
  const claims = checkClaims(payload, {
    issuer: issuer.issuer,
    audience: issuer.audience,
    now,
    maxLifetimeSeconds: MAX_EXTERNAL_SECONDS,
  });
  const key = await keyOf();
  try {
    await compactVerify(text, key, { algorithms: [...issuer.algorithms] });
  } catch {
    throw refused('the signature of the token is not valid');
  }
  return claims;
}
