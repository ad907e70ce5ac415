import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { endSessionsOfHost } from '../../db/queries/end-sessions-of-host.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { findHost } from '../../db/queries/find-host.ts';
import { useOneTimeLink } from '../../db/queries/use-one-time-link.ts';
import { randomSecret, scramVerifier, sha256Hex } from '../auth/secrets.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

/** Called by `refloat-agent enroll`. A second enrollment gives the host a new password, and the old one ends. */
export const enroll = endpoint(
  {
    method: 'post',
    path: '/api/enroll',
    name: 'enroll',
    summary: "Exchanges a host's one-time token for its own database login",
    access: 'public',
    body: z.strictObject({ token: z.string().min(1).max(200) }),
    answers: {
      200: {
        description: 'The credential, shown once',
        schema: z.object({
          hostId: z.uuid(),
          hostName: z.string(),
          databaseUrl: z.string().describe('Holds the password'),
        }),
      },
      401: { description: 'The token is unknown, used or expired' },
    },
  },
  async ({ c, deps, body }) => {
    const { token } = await body();
    const base = deps.agentDatabaseUrl;
    if (base === undefined) {
      throw new RefloatError('CONFIG_INVALID', 'this server does not know where agents reach the database', {
        hint: 'Set REFLOAT_AGENT_DATABASE_URL on the server: host, port and database, as agents reach them.',
      });
    }
    const hash = await sha256Hex(token);
    await c.get('limit')('link', hash);
    const password = randomSecret();
    const verifier = await scramVerifier(password);
    let role = '';
    const response = await runOnce(c, async (db) => {
      const link = await useOneTimeLink(db, hash, 'enrollment');
      const host = link?.hostId === undefined || link.hostId === null ? null : await findHost(db, link.hostId);
      if (host === null || host.revokedAt !== null) {
        return new RefloatError('ENROLLMENT_INVALID', 'this enrollment token is unknown, used or expired', {
          hint: 'Get a new one: POST /api/hosts/{id}/enrollment, or the console.',
        });
      }
      role = await enrollHost(db, host.id, verifier);
      return {
        status: 200,
        body: { hostId: host.id, hostName: host.name, databaseUrl: withLogin(base, role, password) },
        secret: true,
        target: `host:${host.id}`,
      };
    });
    if (role !== '') {
      await endSessionsOfHost(c.get('db'), role).catch(() =>
        deps.log('warn', 'sessions of an enrolled host could not be ended', { role }),
      );
    }
    return response;
  },
);

function withLogin(base: string, user: string, password: string): string {
  const url = new URL(base);
  url.username = user;
  url.password = password;
  return url.href;
}
