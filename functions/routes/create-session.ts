import { setCookie } from 'hono/cookie';
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { useOneTimeLink } from '../../db/queries/use-one-time-link.ts';
import { issueToken } from '../auth/issue-token.ts';
import { SCOPES_OF_TOKENS } from '../auth/scopes.ts';
import { sha256Hex } from '../auth/secrets.ts';
import { requireOwnOrigin, requireSafeTransport, SESSION_HOURS, sessionCookie } from '../auth/session.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

/** The page /sign-in posts the secret of its link here; only this uses the link up, so that a prefetch does not. */
export const createSession = endpoint(
  {
    method: 'post',
    path: '/api/session',
    name: 'createSession',
    summary: 'Signs a person in with the secret of a one-time link; sets the session cookie',
    access: 'public',
    body: z.strictObject({ token: z.string().min(1).max(200) }),
    answers: {
      200: {
        description: 'Signed in',
        schema: z.object({ subject: z.string(), scopes: z.array(z.string()), expiresAt: z.iso.datetime() }),
      },
      401: { description: 'The link is unknown, used or expired' },
    },
  },
  async ({ c, deps, body }) => {
    // A browser always says where a POST comes from: another site must not be able to sign somebody in.
    if (c.req.header('origin') !== undefined) requireOwnOrigin(c, deps);
    requireSafeTransport(c, deps);
    const hash = await sha256Hex((await body()).token);
    let session = '';
    const response = await runOnce(c, async (db) => {
      const link = await useOneTimeLink(db, hash, 'sign-in');
      if (link === null) {
        return new RefloatError('LINK_INVALID', 'this sign-in link is unknown, used or expired', {
          hint: 'Make a new one: refloat sign-in-link, on the server; or start refloat up again.',
        });
      }
      const { jwt, row } = await issueToken(db, deps, {
        kind: 'session',
        subject: link.subject,
        scopes: SCOPES_OF_TOKENS,
        workloads: null,
        createdBy: 'sign-in-link',
        ttlSeconds: SESSION_HOURS * 3600,
      });
      session = jwt;
      const { subject, scopes, expiresAt } = row;
      return {
        status: 200,
        body: { subject, scopes, expiresAt: expiresAt.toISOString() },
        secret: true,
        target: `session:${row.jti}`,
        details: { subject },
      };
    });
    if (session === '') return response;
    const { name, secure } = sessionCookie(c, deps);
    setCookie(c, name, session, {
      path: '/',
      httpOnly: true,
      secure,
      sameSite: 'Strict',
      maxAge: SESSION_HOURS * 3600,
    });
    return c.body(await response.text(), 200, { 'content-type': 'application/json' });
  },
);
