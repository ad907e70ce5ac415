import { z } from 'zod';
import { listSnapshotVolumes } from '../../db/queries/list-snapshot-volumes.ts';
import { snapshotOf, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { SNAPSHOT, snapshotAnswer } from '../wire.ts';

export const getSnapshot = endpoint(
  {
    method: 'get',
    path: '/api/workloads/{id}/snapshots/{sid}',
    name: 'getSnapshot',
    summary: 'A snapshot, also one that was deleted',
    access: 'snapshots:read',
    params: { id: z.uuid(), sid: z.uuid() },
    answers: {
      200: { description: 'The snapshot', schema: SNAPSHOT },
      404: { description: 'No such workload, or not its snapshot' },
    },
  },
  async ({ c, principal, params }) => {
    const db = c.get('db');
    const row = await snapshotOf(db, await workloadFor(db, principal, params.id), params.sid);
    return c.json(snapshotAnswer(row, await listSnapshotVolumes(db, [row.id])));
  },
);
