/** What credentials of automation can be limited to. */
import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { listWorkloads } from '../../db/queries/list-workloads.ts';

/** A project needs no workload yet. */
export const PROJECTS = z
  .array(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, 'must be the name of a project'))
  .min(1)
  .max(100);

/** Throws `VALIDATION_FAILED` naming what there is not: a limit with a slip in it would look like one that works. */
export async function requireKnownWorkloads(db: Queryable, ids: readonly string[]): Promise<void> {
  const known = new Set((await listWorkloads(db, { ids: [...ids] })).map((row) => row.id));
  const unknown = ids.filter((id) => !known.has(id.toLowerCase()));
  if (unknown.length === 0) return;
  throw new RefloatError('VALIDATION_FAILED', `workloads: there is no workload ${unknown.join(', ')}`, {
    hint: 'GET /api/workloads lists them.',
    details: { errors: unknown.map((id) => ({ path: 'workloads', message: `there is no workload ${id}` })) },
  });
}
