import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { endSessionsOfHost } from '../../db/queries/end-sessions-of-host.ts';
import { revokeHost as query } from '../../db/queries/revoke-host.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const revokeHost = endpoint(
  {
    method: 'delete',
    path: '/api/hosts/{id}',
    name: 'revokeHost',
    summary:
      "Takes a host's credential away at once, cuts its connections and fails what it was asked to do; its workloads and snapshots stay known",
    access: 'hosts:write',
    fresh: true,
    params: { id: z.uuid() },
    answers: { 204: { description: 'Revoked' }, 404: { description: 'No such host, or revoked already' } },
  },
  async ({ c, deps, params }) => {
    let role: string | null = null;
    const response = await runOnce(c, async (db) => {
      const revoked = await query(db, params.id);
      if (revoked === null)
        return new RefloatError('HOST_NOT_FOUND', `there is no host ${params.id} to revoke`, {
          hint: 'GET /api/hosts lists them.',
        });
      const { host, failedIntents } = revoked;
      role = host.pgRole;
      return { status: 204, target: `host:${host.id}`, details: { name: host.name, failedIntents } };
    });
    // Once more: until the commit its login still opened sessions. They see nothing, but are ended all the same.
    if (role !== null) {
      await endSessionsOfHost(c.get('db'), role).catch(() =>
        deps.log('warn', 'sessions of a revoked host could not be ended', { hostId: params.id }),
      );
    }
    return response;
  },
);
