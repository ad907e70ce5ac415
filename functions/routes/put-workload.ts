import { z } from 'zod';
import type { Queryable } from '../../db/client.ts';
import { RefloatError } from '../../db/errors.ts';
import { findWorkload, type WorkloadRow } from '../../db/queries/find-workload.ts';
import { findWorkloadByName } from '../../db/queries/find-workload-by-name.ts';
import { listContainers } from '../../db/queries/list-containers.ts';
import { updateWorkload } from '../../db/queries/update-workload.ts';
import { canonicalConfig, type WorkloadConfig } from '../../db/workload.ts';
import { requireWritableProject, workloadFor } from '../checks.ts';
import { endpoint } from '../endpoint.ts';
import { type Done, runOnce } from '../run-once.ts';
import { WORKLOAD, WORKLOAD_BODY, workloadAnswer } from '../wire.ts';

/** How often a change is tried again when another one came first and the caller did not ask for a version. */
const ATTEMPTS = 5;

export const putWorkload = endpoint(
  {
    method: 'put',
    path: '/api/workloads/{id}',
    name: 'putWorkload',
    summary: 'Replaces the configuration; an equal one changes nothing. It takes effect with the next deploy',
    access: 'workloads:write',
    params: { id: z.uuid() },
    headers: { 'If-Match': 'ETag of the version that you changed; 412 if there is a newer one' },
    body: WORKLOAD_BODY,
    answers: {
      200: { description: 'Replaced', schema: WORKLOAD },
      404: { description: 'No such workload' },
      409: { description: 'The name is taken' },
      412: { description: 'There is a newer version' },
    },
  },
  async ({ c, principal, params, body }) => {
    const before = await workloadFor(c.get('db'), principal, params.id);
    const config = await body();
    requireWritableProject(principal, config, before.config);
    const versions = versionsOf(c.req.header('if-match'));
    return runOnce(c, async (db) => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const done = await replace(db, params.id, config, versions);
        if (done !== null) return done;
      }
      return new RefloatError('VERSION_CONFLICT', 'other changes keep coming first', {
        hint: 'Get the workload again and repeat the change.',
      });
    });
  },
);

/** Null if another change came in between. */
async function replace(
  db: Queryable,
  id: string,
  config: WorkloadConfig,
  versions: ReadonlySet<string> | undefined,
): Promise<Done | RefloatError | null> {
  const current = await findWorkload(db, id);
  if (current === null) return null;
  if (versions !== undefined && !versions.has(`"${current.version}"`)) {
    return new RefloatError('VERSION_CONFLICT', `the workload has version ${current.version} by now`, {
      hint: 'Get it again, repeat the change on it, and send its ETag as If-Match.',
      details: { version: current.version },
    });
  }
  if (config.hostId !== current.hostId) {
    return new RefloatError('VALIDATION_FAILED', 'hostId: a workload does not move to another host', {
      hint: 'Its volumes and snapshots are on its host. Create another workload there.',
      details: { errors: [{ path: 'hostId', message: 'cannot be changed' }] },
    });
  }
  const namesake = await findWorkloadByName(db, config.name);
  if (namesake !== null && namesake.id !== id) {
    return new RefloatError('NAME_TAKEN', `there is a workload "${config.name}" already`, {
      hint: 'Choose another name.',
    });
  }
  const row =
    canonicalConfig(config) === canonicalConfig(current.config)
      ? current
      : await updateWorkload(db, id, current.version, config);
  return row === null ? null : replaced(row, await listContainers(db, [row]), current.version);
}

function replaced(row: WorkloadRow, containers: Awaited<ReturnType<typeof listContainers>>, before: number): Done {
  return {
    status: 200,
    headers: { etag: `"${row.version}"` },
    body: workloadAnswer(row, containers),
    target: `workload:${row.id}`,
    details: { name: row.name, version: row.version, before },
  };
}

/** Strong comparison (RFC 9110): a weak tag matches nothing. Undefined: any version. */
function versionsOf(header: string | undefined): ReadonlySet<string> | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  return new Set(header.split(',').map((tag) => tag.trim()));
}
