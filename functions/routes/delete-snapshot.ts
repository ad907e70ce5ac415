import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findSnapshot } from '../../db/queries/find-snapshot.ts';
import { snapshotOf, workloadFor } from '../checks.ts';
import type { AppDeps } from '../deps.ts';
import { endpoint } from '../endpoint.ts';
import { IDEMPOTENCY_HEADER, INTENT_ANSWERS } from '../intent-body.ts';
import { startIntent } from '../start-intent.ts';

export const deleteSnapshot = endpoint(
  {
    method: 'delete',
    path: '/api/workloads/{id}/snapshots/{sid}',
    name: 'deleteSnapshot',
    summary: 'Removes a snapshot from its host',
    access: 'snapshots:delete',
    fresh: true,
    params: { id: z.uuid(), sid: z.uuid() },
    headers: IDEMPOTENCY_HEADER,
    answers: {
      ...INTENT_ANSWERS,
      409: { description: 'The last copy of a previous state in its undo window; or an intent is under way' },
    },
  },
  async ({ c, deps, principal, params }) => {
    const workload = await workloadFor(c.get('db'), principal, params.id);
    const snapshot = await snapshotOf(c.get('db'), workload, params.sid);
    return startIntent(c, workload, { kind: 'delete', snapshotId: snapshot.id }, (db) =>
      refusal(db, deps, workload.id, snapshot.id),
    );
  },
);

async function refusal(
  db: Queryable,
  deps: AppDeps,
  workloadId: string,
  id: string,
): Promise<RefloatError | undefined> {
  const snapshot = await findSnapshot(db, workloadId, id);
  if (snapshot === null || snapshot.state === 'deleted') {
    return new RefloatError('SNAPSHOT_NOT_FOUND', `snapshot ${id} was deleted already`, {
      hint: 'Nothing is left to do.',
    });
  }
  const until = snapshot.protectedUntil;
  if (until === null || until <= deps.now()) return undefined;
  return new RefloatError('SNAPSHOT_PROTECTED', 'this snapshot is the last copy of the state before a restore', {
    hint: `It can be deleted when the undo window ends, at ${until.toISOString()}.`,
    details: { protectedUntil: until.toISOString() },
  });
}
