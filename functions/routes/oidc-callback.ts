import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findSession, type SessionFacts } from '../../db/queries/find-session.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import type { PersonRow } from '../../db/queries/insert-person.ts';
import { type Arrival, endOidc, requireOidc } from '../auth/oidc-flow.ts';
import { oidcPerson } from '../auth/oidc-person.ts';
import { prove, sendCookie } from '../auth/session.ts';
import type { AppContext, AppDeps } from '../deps.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { signIn } from '../sign-in.ts';

/** A person looks at what this answers, so that a refusal leads back to the console, which says it in words. */
export const oidcCallback = endpoint(
  {
    method: 'get',
    path: '/api/session/oidc/callback',
    name: 'oidcCallback',
    summary: 'Where the OIDC issuer sends the browser back to: signs in, or renews the proof, and goes to the console',
    access: 'public',
    answers: { 303: { description: 'To the console; `/?problem=CODE` if nothing came of it' } },
  },
  async ({ c, deps }) => {
    await c.get('limit')('sign-in', `address:${deps.clientAddress(c)}`);
    try {
      const arrival = await endOidc(c, deps);
      const refusal = arrival.sessionId === null ? await enter(c, deps, arrival) : await renew(c, deps, arrival);
      return c.redirect(refusal === undefined ? arrival.returnTo : `/?problem=${refusal}`, 303);
    } catch (thrown) {
      if (!(thrown instanceof RefloatError)) throw thrown;
      const { code, cause } = thrown;
      deps.log('warn', thrown.message, {
        code,
        requestId: c.get('requestId'),
        cause: cause instanceof Error ? cause.message : '',
      });
      await insertAudit(c.get('db'), {
        actor: 'anonymous',
        action: c.get('action'),
        target: c.req.path,
        outcome: 'refused',
        code,
        requestId: c.get('requestId'),
      });
      return c.redirect(`/?problem=${code}`, 303);
    }
  },
);

/** The code of the refusal, if it is one. */
async function enter(c: AppContext, deps: AppDeps, { claims }: Arrival): Promise<string | undefined> {
  const proof = { kind: 'oidc', at: authTime(claims) } as const;
  const { rules } = requireOidc(deps).config;
  return codeOf(await signIn(c, deps, proof, (db) => oidcPerson(db, rules, claims)));
}

async function renew(c: AppContext, deps: AppDeps, { claims, sessionId }: Arrival): Promise<string | undefined> {
  let jwt: string | undefined;
  const { rules } = requireOidc(deps).config;
  const response = await runOnce(c, async (db) => {
    const person = await oidcPerson(db, rules, claims);
    if (person instanceof RefloatError) return person;
    const session = await sessionOf(db, sessionId, person);
    const at = authTime(claims);
    if (session === null || at === null) {
      return new RefloatError('OIDC_FAILED', 'somebody else has signed in at the issuer, or the session has ended', {
        hint: 'Sign in there as the person whose session this is.',
      });
    }
    jwt = await prove(c, deps, db, session, { kind: 'oidc', at });
    return { status: 204, target: `session:${session.id}`, details: { proof: 'oidc' } };
  });
  if (jwt !== undefined) sendCookie(c, jwt);
  return codeOf(response);
}

async function sessionOf(db: Queryable, id: string | null, person: PersonRow): Promise<SessionFacts | null> {
  const session = id === null ? null : await findSession(db, id);
  return session?.personId === person.id ? session : null;
}

/** When the issuer asked the person; null if it does not say. */
function authTime(claims: Arrival['claims']): Date | null {
  const seconds = claims['auth_time'];
  return typeof seconds === 'number' ? new Date(seconds * 1000) : null;
}

async function codeOf(response: Response): Promise<string | undefined> {
  if (response.ok) return undefined;
  const { code } = (await response.json()) as { code: string };
  return code;
}
