import { z } from 'zod';
import { listSnapshotVolumes } from '../../db/queries/list-snapshot-volumes.ts';
import { listSnapshots as query } from '../../db/queries/list-snapshots.ts';
import { workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { SNAPSHOT, snapshotAnswer } from '../wire.ts';

const LIMIT = 1000;

export const listSnapshots = endpoint(
  {
    method: 'get',
    path: '/api/workloads/{id}/snapshots',
    name: 'listSnapshots',
    summary: `The snapshots of a workload that are there, newest first, at most ${LIMIT}`,
    access: 'snapshots:read',
    params: { id: z.uuid() },
    answers: {
      200: { description: 'The snapshots', schema: z.object({ snapshots: z.array(SNAPSHOT) }) },
      404: { description: 'No such workload' },
    },
  },
  async ({ c, principal, params }) => {
    const db = c.get('db');
    const workload = await workloadFor(db, principal, params.id);
    const rows = await query(db, workload.id, LIMIT);
    const volumes = await listSnapshotVolumes(
      db,
      rows.map((row) => row.id),
    );
    return c.json({ snapshots: rows.map((row) => snapshotAnswer(row, volumes)) });
  },
);
