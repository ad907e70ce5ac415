import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { findHost } from '../../db/queries/find-host.ts';
import { createOneTimeLink, ENROLLMENT_TTL_SECONDS } from '../auth/one-time.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';

export const createEnrollment = endpoint(
  {
    method: 'post',
    path: '/api/hosts/{id}/enrollment',
    name: 'createEnrollment',
    summary: 'A one-time token with which `refloat-agent enroll` gets the credential of this host',
    access: 'hosts:write',
    fresh: true,
    params: { id: z.uuid() },
    answers: {
      201: {
        description: 'The token, shown once',
        schema: z.object({ hostId: z.uuid(), token: z.string(), expiresAt: z.iso.datetime() }),
      },
      404: { description: 'No such host' },
    },
  },
  async ({ c, deps, params }) => {
    const host = await findHost(c.get('db'), params.id);
    if (host === null || host.revokedAt !== null) {
      throw new RefloatError('HOST_NOT_FOUND', `there is no host ${params.id}`, {
        hint: 'GET /api/hosts lists them; a revoked one stays so.',
      });
    }
    return runOnce(c, async (db) => {
      const link = await createOneTimeLink(
        db,
        { purpose: 'enrollment', subject: host.name, hostId: host.id },
        ENROLLMENT_TTL_SECONDS,
        deps.now(),
      );
      return {
        status: 201,
        body: { hostId: host.id, token: link.secret, expiresAt: link.expiresAt.toISOString() },
        secret: true,
        target: `host:${host.id}`,
      };
    });
  },
);
