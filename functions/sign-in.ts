/** The end of every way to sign in: a session, its cookie, and a row in the audit, or none of them. */
import { z } from 'zod';
import type { Queryable } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import type { PersonRow } from '../db/queries/insert-person.ts';
import { ROLES } from '../db/roles.ts';
import { beginSession, type NewSession, sendCookie } from './auth/session.ts';
import type { AppContext, AppDeps } from './deps.ts';
import { runOnce } from './run-once.ts';

export const SIGNED_IN = z.object({ subject: z.string(), role: z.enum(ROLES), expiresAt: z.iso.datetime() });

/** @param who finds the person, and uses up what proves it; in the transaction that begins the session */
export async function signIn(
  c: AppContext,
  deps: AppDeps,
  proof: NewSession['proof'],
  who: (db: Queryable) => Promise<PersonRow | RefloatError>,
): Promise<Response> {
  let jwt: string | undefined;
  const response = await runOnce(c, async (db) => {
    const person = await who(db);
    if (person instanceof RefloatError) return person;
    const session = await beginSession(db, deps, {
      personId: person.id,
      proof,
      userAgent: c.req.header('user-agent'),
    });
    jwt = session.jwt;
    return {
      status: 200,
      body: { subject: person.name, role: person.role, expiresAt: session.expiresAt.toISOString() },
      secret: true,
      target: `session:${session.id}`,
      details: { personId: person.id, subject: person.name, proof: proof.kind },
    };
  });
  if (jwt !== undefined) sendCookie(c, jwt);
  return response;
}
