import { RefloatError } from '../../db/errors.ts';
import { newId } from '../../db/ids.ts';
import { findHost } from '../../db/queries/find-host.ts';
import { insertWorkload } from '../../db/queries/insert-workload.ts';
import { requireWritableProject } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { runOnce } from '../run-once.ts';
import { WORKLOAD, WORKLOAD_BODY, workloadAnswer } from '../wire.ts';

export const createWorkload = endpoint(
  {
    method: 'post',
    path: '/api/workloads',
    name: 'createWorkload',
    summary: 'A workload; nothing runs before it is deployed',
    access: 'workloads:write',
    body: WORKLOAD_BODY,
    answers: {
      201: { description: 'Created', schema: WORKLOAD },
      409: { description: 'The name is taken' },
      422: { description: 'Not valid, or no such host' },
    },
  },
  async ({ c, principal, body }) => {
    if (principal.workloads !== null) {
      throw new RefloatError('FORBIDDEN', 'this token is limited to existing workloads', {
        hint: 'Use a token without a limit to workloads.',
      });
    }
    const config = await body();
    requireWritableProject(principal, config, null);
    return runOnce(c, async (db) => {
      const host = await findHost(db, config.hostId);
      if (host === null || host.revokedAt !== null) {
        throw new RefloatError('VALIDATION_FAILED', `hostId: there is no host ${config.hostId}`, {
          hint: 'GET /api/hosts lists them.',
          details: { errors: [{ path: 'hostId', message: 'there is no such host' }] },
        });
      }
      const row = await insertWorkload(db, newId(), config);
      if (row === null) {
        return new RefloatError('NAME_TAKEN', `there is a workload "${config.name}" already`, {
          hint: 'Choose another name, or change that one with PUT.',
        });
      }
      return {
        status: 201,
        headers: { location: `/api/workloads/${row.id}`, etag: `"${row.version}"` },
        body: workloadAnswer(row, []),
        target: `workload:${row.id}`,
        details: { name: row.name, hostId: row.hostId },
      };
    });
  },
);
