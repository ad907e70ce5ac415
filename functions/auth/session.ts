/**
 * The session cookie of people: a short JWT, exchanged for a new one while it is used.
 *
 * Guarantees: the row decides, so that what is revoked ends at once; a cookie that was exchanged is good until the browser
 * has shown the new one, and for a minute of requests that were under way; who shows it later has a copy, and the session
 * ends for everybody who has one.
 */
import { type SQL, sql } from 'drizzle-orm';
import { setCookie } from 'hono/cookie';
import type { Queryable } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { confirmSession } from '../../db/queries/confirm-session.ts';
import { findSession, type SessionFacts } from '../../db/queries/find-session.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { insertSession } from '../../db/queries/insert-session.ts';
import { proveSession } from '../../db/queries/prove-session.ts';
import { revokeSession } from '../../db/queries/revoke-session.ts';
import { rotateSession } from '../../db/queries/rotate-session.ts';
import type { ProofKind } from '../../db/schema/sessions.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { type JwtContext, mintSession, verifySession } from './jwt.ts';
import { isHttps } from './origin.ts';
import type { Person } from './principal.ts';
import { refused } from './refused.ts';
import { SCOPES_OF_ROLES } from './roles.ts';

/** However much it is used: then the person signs in again. */
const SESSION_SECONDS = 12 * 3600;
/** Life of one cookie: so long a session lives unused. */
const COOKIE_SECONDS = 3600;
const ROTATE_AFTER_SECONDS = 300;
/** For requests that were under way when the cookie was exchanged. */
const OVERLAP_SECONDS = 60;
/** How long a proof is good for what needs a fresh one. */
export const FRESH_PROOF_SECONDS = 300;
const USER_AGENT_CHARS = 300;

interface SessionCookie {
  readonly name: string;
  readonly secure: boolean;
}

/** `__Host-` binds the cookie to this very host over HTTPS; plain HTTP, which browsers refuse it on, is for loopback. */
export function sessionCookie(c: AppContext, deps: AppDeps): SessionCookie {
  return isHttps(c, deps) ? { name: '__Host-refloat', secure: true } : { name: 'refloat_session', secure: false };
}

export interface NewSession {
  readonly personId: string;
  /** `at`: now, when the issuer says, or null if it does not say. */
  readonly proof: { readonly kind: ProofKind; readonly at: 'now' | Date | null };
  readonly userAgent: string | undefined;
}

/** Writes the session's row; the JWT is for `sendCookie`, when the transaction has committed. */
export async function beginSession(
  db: Queryable,
  context: JwtContext,
  { personId, proof, userAgent }: NewSession,
): Promise<{ id: string; jwt: string; expiresAt: Date }> {
  const [id, jti] = [newId(), newId()];
  const expiresAt = new Date(context.now().getTime() + SESSION_SECONDS * 1000);
  await insertSession(db, {
    id,
    personId,
    jti,
    proofKind: proof.kind,
    proofAt: proof.at === null ? null : proofTime(proof.at),
    userAgent: (userAgent ?? '').replaceAll(/[^\x20-\x7e]/g, '').slice(0, USER_AGENT_CHARS),
    expiresAt,
  });
  return { id, jwt: await mint(context, { id, jti, personId, expiresAt }), expiresAt };
}

/** By the database's clock, which decides what is fresh; never in its future. */
function proofTime(at: 'now' | Date): SQL {
  return at === 'now' ? sql`now()` : sql`least(${at.toISOString()}::timestamptz, now())`;
}

/** The person of a session cookie. Throws `UNAUTHENTICATED`. The answer may carry a new cookie. */
export async function personOf(c: AppContext, deps: AppDeps, cookie: string): Promise<Person> {
  const { sessionId, jti } = await verifySession(deps, cookie);
  const db = c.get('db');
  const session = await findSession(db, sessionId);
  if (session === null) throw refused('the session has ended');
  if (!isGood(session, jti)) {
    await endCopied(c, session);
    throw refused('the session has ended');
  }
  await keepUp(c, deps, session, jti);
  return {
    kind: 'person',
    actor: `person:${session.name}`,
    subject: session.name,
    personId: session.personId,
    role: session.role,
    managedBy: session.managedBy,
    sessionId: session.id,
    scopes: SCOPES_OF_ROLES[session.role],
    workloads: null,
    projects: session.projects === null ? null : new Set(session.projects),
    expiresAt: session.expiresAt,
    proof: {
      kind: session.proofKind,
      at: session.proofAt,
      fresh: session.proofAgeSeconds !== null && session.proofAgeSeconds < FRESH_PROOF_SECONDS,
    },
  };
}

function isGood({ jti, previousJti, confirmedSeconds }: SessionFacts, shown: string): boolean {
  if (shown === jti) return true;
  return shown === previousJti && (confirmedSeconds === null || confirmedSeconds < OVERLAP_SECONDS);
}

async function endCopied(c: AppContext, session: SessionFacts): Promise<void> {
  await c.get('db').transaction(async (tx) => {
    if (!(await revokeSession(tx, session.id, session.personId))) return;
    await insertAudit(tx, {
      actor: `person:${session.name}`,
      action: 'session.copied',
      target: `session:${session.id}`,
      outcome: 'accepted',
      requestId: c.get('requestId'),
    });
  });
}

/** Exchanges the cookie when it is due, and again when the browser never got the new one. */
async function keepUp(c: AppContext, deps: AppDeps, session: SessionFacts, shown: string): Promise<void> {
  const db = c.get('db');
  const { id, jti, personId, expiresAt, rotatedSeconds, confirmedSeconds } = session;
  if (shown === jti && confirmedSeconds === null) await confirmSession(db, id, jti);
  const due =
    shown === jti
      ? rotatedSeconds >= ROTATE_AFTER_SECONDS
      : confirmedSeconds === null && rotatedSeconds >= OVERLAP_SECONDS;
  if (!due) return;
  const to = newId();
  if (await rotateSession(db, id, { from: jti, shown, to }))
    sendCookie(c, await mint(deps, { id, jti: to, personId, expiresAt }));
}

/**
 * The person has proved again who they are: the session has a fresh proof, and a new cookie, so that a copy of the old one
 * gains nothing. Returns its JWT for `sendCookie`, when the transaction has committed; undefined if this request has
 * exchanged the cookie already.
 */
export async function prove(
  c: AppContext,
  deps: AppDeps,
  db: Queryable,
  { id, personId, expiresAt }: { readonly id: string; readonly personId: string; readonly expiresAt: Date },
  proof: { readonly kind: ProofKind; readonly at: 'now' | Date },
): Promise<string | undefined> {
  // A second exchange in one request would leave the browser's own cookie neither the present nor the previous one.
  const to = c.get('newSession') === undefined ? newId() : undefined;
  await proveSession(db, id, { kind: proof.kind, at: proofTime(proof.at) }, to);
  return to === undefined ? undefined : mint(deps, { id, jti: to, personId, expiresAt });
}

/** The cookie goes out with the answer, whatever that is. */
export function sendCookie(c: AppContext, jwt: string): void {
  c.set('newSession', jwt);
}

export function writeSessionCookie(c: AppContext, deps: AppDeps, jwt: string): void {
  const { name, secure } = sessionCookie(c, deps);
  setCookie(c, name, jwt, {
    path: '/',
    httpOnly: true,
    secure,
    sameSite: 'Strict',
    maxAge: jwt === '' ? 0 : COOKIE_SECONDS,
  });
}

async function mint(
  context: JwtContext,
  { id, jti, personId, expiresAt }: { id: string; jti: string; personId: string; expiresAt: Date },
): Promise<string> {
  const cookieEnds = new Date(context.now().getTime() + COOKIE_SECONDS * 1000);
  return mintSession(context, {
    sessionId: id,
    jti,
    subject: personId,
    expiresAt: cookieEnds < expiresAt ? cookieEnds : expiresAt,
  });
}
