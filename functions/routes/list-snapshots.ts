import { z } from 'zod';
import { listSnapshotVolumes } from '../../db/queries/list-snapshot-volumes.ts';
import { listSnapshots as query } from '../../db/queries/list-snapshots.ts';
import { workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { NEXT, PAGE_QUERY, pageOf, seekOf } from '../page.ts';
import { SNAPSHOT, snapshotAnswer } from '../wire.ts';

export const listSnapshots = endpoint(
  {
    method: 'get',
    path: '/api/workloads/{id}/snapshots',
    name: 'listSnapshots',
    summary: 'The snapshots of a workload that are there, newest first',
    access: 'snapshots:read',
    params: { id: z.uuid() },
    query: PAGE_QUERY,
    answers: {
      200: { description: 'The snapshots', schema: z.object({ snapshots: z.array(SNAPSHOT), next: NEXT }) },
      404: { description: 'No such workload' },
    },
  },
  async ({ c, principal, params, query: { cursor, limit } }) => {
    const db = c.get('db');
    const workload = await workloadFor(db, principal, params.id);
    const rows = await query(db, workload.id, seekOf({ cursor, limit }, { key: 'moment', id: 'uuid' }));
    const { page, next } = pageOf(rows, limit, ({ key, snapshot }) => [key, snapshot.id]);
    const volumes = await listSnapshotVolumes(
      db,
      page.map(({ snapshot }) => snapshot.id),
    );
    return c.json({ snapshots: page.map(({ snapshot }) => snapshotAnswer(snapshot, volumes)), next });
  },
);
