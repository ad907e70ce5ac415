/** The checks of requests that routes share, each with its code. */
import type { Queryable } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import { findIntent } from '../db/queries/find-intent.ts';
import { findSnapshot, type SnapshotRow } from '../db/queries/find-snapshot.ts';
import { findWorkload, type WorkloadRow } from '../db/queries/find-workload.ts';
import type { IntentRow } from '../db/queries/insert-intent.ts';
import { isSupportedScope, SUPPORTED_SCOPES } from '../db/scopes.ts';
import type { WorkloadConfig } from '../db/workload.ts';
import { type Principal, requireWorkload, seesProject } from './auth/principal.ts';
import type { AppContext } from './deps.ts';

/** Throws `FORBIDDEN`, then `WORKLOAD_NOT_FOUND`, also for one of a project that the principal is not for. */
export async function workloadFor(db: Queryable, principal: Principal, id: string): Promise<WorkloadRow> {
  requireWorkload(principal, id);
  const workload = await findWorkload(db, id);
  if (workload !== null && seesProject(principal, workload.project)) return workload;
  throw new RefloatError('WORKLOAD_NOT_FOUND', `there is no workload ${id}`, {
    hint: 'GET /api/workloads lists them.',
  });
}

/** Throws `SNAPSHOT_NOT_FOUND`, also for a snapshot of another workload. */
export async function snapshotOf(db: Queryable, workload: WorkloadRow, id: string): Promise<SnapshotRow> {
  const snapshot = await findSnapshot(db, workload.id, id);
  if (snapshot !== null) return snapshot;
  throw new RefloatError('SNAPSHOT_NOT_FOUND', `workload "${workload.name}" has no snapshot ${id}`, {
    hint: `GET /api/workloads/${workload.id}/snapshots lists them.`,
  });
}

/** Throws `INTENT_NOT_FOUND`, also for one of another project; then `FORBIDDEN` for one of a workload that the principal is not for. */
export async function intentFor(db: Queryable, principal: Principal, id: string): Promise<IntentRow> {
  const intent = await findIntent(db, id);
  const seen = intent !== null && (principal.projects === null || (await isSeen(db, principal, intent.workloadId)));
  if (!seen) {
    throw new RefloatError('INTENT_NOT_FOUND', `there is no intent ${id}`, { hint: 'GET /api/intents lists them.' });
  }
  requireWorkload(principal, intent.workloadId);
  return intent;
}

async function isSeen(db: Queryable, principal: Principal, workloadId: string): Promise<boolean> {
  const workload = await findWorkload(db, workloadId);
  return workload !== null && seesProject(principal, workload.project);
}

/** What X-Confirm-Restore names. Throws `CONFIRMATION_MISSING` (428). */
export function confirmationOf(c: AppContext): string {
  const given = c.req.header('x-confirm-restore');
  if (given !== undefined && given !== '') return given;
  throw new RefloatError('CONFIRMATION_MISSING', 'this replaces live data and needs a confirmation', {
    hint: 'Send the header X-Confirm-Restore with the name of the workload.',
  });
}

/** Throws `CONFIRMATION_MISMATCH` (412). */
export function requireConfirmed(workload: WorkloadRow, confirmation: string): void {
  if (confirmation === workload.name) return;
  throw new RefloatError('CONFIRMATION_MISMATCH', 'the confirmation is not the name of this workload', {
    hint: 'X-Confirm-Restore must be the exact name of the workload whose data is to be replaced; check that it is the one you mean.',
  });
}

/** Throws `SNAPSHOT_DELETED`. */
export function requireThere(snapshot: SnapshotRow): void {
  if (snapshot.state === 'complete') return;
  throw new RefloatError('SNAPSHOT_DELETED', `snapshot ${snapshot.id} was deleted`, {
    hint: 'Choose another snapshot.',
  });
}

/** Throws `SOURCE_NOT_IMAGE`. */
export function requireImageSource(workload: WorkloadRow): void {
  if (workload.config.source === 'image') return;
  throw new RefloatError('SOURCE_NOT_IMAGE', `workload "${workload.name}" has source "${workload.config.source}"`, {
    hint: 'Only workloads of source "image" can be deployed, captured and restored.',
    details: { source: workload.config.source },
  });
}

/** Throws `SOURCE_NOT_IMAGE`, `SCOPE_UNSUPPORTED` with the names of the volumes, or `NO_VOLUMES`. */
export function requireCapturable(workload: WorkloadRow): void {
  requireImageSource(workload);
  const unsupported = workload.config.volumes.filter((volume) => !isSupportedScope(volume.scope));
  if (unsupported.length > 0) {
    const named = unsupported.map((volume) => `"${volume.name}" (scope ${volume.scope})`).join(', ');
    throw new RefloatError('SCOPE_UNSUPPORTED', `volume ${named} can neither be captured nor restored`, {
      hint: `Volumes of scope ${SUPPORTED_SCOPES.join(', ')} can. Take the volume out of the workload, or give it one of these scopes.`,
      details: { volumes: unsupported.map((volume) => volume.name) },
    });
  }
  if (workload.config.volumes.length > 0) return;
  throw new RefloatError('NO_VOLUMES', `workload "${workload.name}" has no volumes`, {
    hint: 'There is no data to capture or restore.',
  });
}

/**
 * Throws `FORBIDDEN` where a principal that is limited to projects or workloads would reach beyond them: into another project, or,
 * by a volume that it adds, to a host path that is not below a project's own directory.
 * @param before the configuration that is replaced, if there is one
 */
export function requireWritableProject(
  principal: Principal,
  config: WorkloadConfig,
  before: WorkloadConfig | null,
): void {
  if (principal.projects === null && principal.workloads === null) return;
  if (principal.projects !== null && !seesProject(principal, config.project)) {
    throw new RefloatError('FORBIDDEN', `you are limited to other projects than "${config.project}"`, {
      hint: `Yours: ${[...principal.projects].join(', ')}.`,
    });
  }
  if (principal.workloads !== null && config.project !== before?.project) {
    throw new RefloatError(
      'FORBIDDEN',
      'this token is limited to some workloads, and moves none into another project',
      {
        hint: 'Use a token without a limit to workloads.',
      },
    );
  }
  const kept = new Set(before?.project === config.project ? before.volumes.map(placeOf) : []);
  const beyond = config.volumes.filter(
    (volume) => (volume.scope === 'absolute' || volume.scope === 'named') && !kept.has(placeOf(volume)),
  );
  if (beyond.length === 0) return;
  throw new RefloatError('FORBIDDEN', `volume "${beyond[0]?.name}" is not confined to a project`, {
    hint: 'Use scope project or stage; someone without a limit to projects or workloads may add volumes of scope absolute and named.',
    details: { volumes: beyond.map((volume) => volume.name) },
  });
}

function placeOf({ scope, source }: WorkloadConfig['volumes'][number]): string {
  return `${scope}:${source}`;
}
