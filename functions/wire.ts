/** What the API answers: schemas for /openapi.json, and from database rows to them. Times are RFC 3339 in UTC. */
import { z } from '@hono/zod-openapi';
import { INTENT_KINDS, INTENT_STATES, isOver } from '../db/intent-state.ts';
import type { HostRow } from '../db/queries/find-host.ts';
import type { IssuerRow } from '../db/queries/find-issuer.ts';
import type { SnapshotRow } from '../db/queries/find-snapshot.ts';
import type { TokenRow } from '../db/queries/find-token.ts';
import type { WorkloadRow } from '../db/queries/find-workload.ts';
import type { AuditRow } from '../db/queries/insert-audit.ts';
import type { IntentRow } from '../db/queries/insert-intent.ts';
import type { ContainerRow } from '../db/queries/list-containers.ts';
import type { SnapshotVolumeRow } from '../db/queries/list-snapshot-volumes.ts';
import { WORKLOAD_CONFIG } from '../db/workload.ts';

const TIME = z.iso.datetime();
const MAYBE_TIME = TIME.nullable();

export const PROBLEM = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Stable, upper snake'),
    detail: z.string(),
    hint: z.string().describe('What to do about it'),
    intentId: z.uuid().optional().describe('The intent that is meant, for example the one under way'),
  })
  .openapi('Problem');

export const HOST = z
  .object({
    id: z.uuid(),
    name: z.string(),
    enrolled: z.boolean(),
    agentVersion: z.string().nullable(),
    engineVersion: z.string().nullable(),
    agentSeenAt: MAYBE_TIME,
    createdAt: TIME,
    revokedAt: MAYBE_TIME,
  })
  .openapi('Host');

export function hostAnswer(row: HostRow): z.output<typeof HOST> {
  return {
    id: row.id,
    name: row.name,
    enrolled: row.pgRole !== null,
    agentVersion: row.agentVersion,
    engineVersion: row.engineVersion,
    agentSeenAt: time(row.agentSeenAt),
    createdAt: row.createdAt.toISOString(),
    revokedAt: time(row.revokedAt),
  };
}

const CONTAINER = z.object({
  id: z.string(),
  name: z.string(),
  image: z.string(),
  imageId: z.string(),
  state: z.string(),
  health: z.string().nullable(),
  startedAt: MAYBE_TIME,
  reportedAt: TIME,
});

export const WORKLOAD = z
  .looseObject({
    id: z.uuid(),
    name: z.string(),
    version: z.int().describe('Grows with each change; the ETag'),
    config: z.looseObject({}).describe('The configuration, whose members are beside it as well'),
    containers: z.array(CONTAINER).describe('As the agent last reported them'),
    createdAt: TIME,
    updatedAt: TIME,
  })
  .openapi('Workload');

export function workloadAnswer(row: WorkloadRow, containers: readonly ContainerRow[]): z.output<typeof WORKLOAD> {
  return {
    ...row.config,
    id: row.id,
    name: row.name,
    version: row.version,
    config: row.config,
    containers: containers
      .filter((container) => isOf(container, row))
      .map((container) => ({
        id: container.containerId,
        name: container.name,
        image: container.image,
        imageId: container.imageId,
        state: container.state,
        health: container.health,
        startedAt: time(container.startedAt),
        reportedAt: container.reportedAt.toISOString(),
      })),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** Its own, and those that it adopted, which have no label to say so. */
function isOf({ workloadId, hostId, name }: ContainerRow, row: WorkloadRow): boolean {
  if (workloadId !== null) return workloadId === row.id;
  return hostId === row.hostId && row.config.adopted?.containers.includes(name) === true;
}

/** Members that an answer has and a configuration has not: taken out of what is sent back, so that GET, edit, PUT works. */
const ANSWER_ONLY = ['id', 'version', 'config', 'containers', 'createdAt', 'updatedAt'];

/** A configuration as people send it. */
export const WORKLOAD_BODY = z.preprocess(
  (value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).filter(([name]) => !ANSWER_ONLY.includes(name)))
      : value,
  WORKLOAD_CONFIG,
);

export const SNAPSHOT = z
  .object({
    id: z.uuid(),
    workloadId: z.uuid(),
    hostId: z.uuid(),
    intentId: z.uuid(),
    kind: z.enum(['capture', 'pre-restore', 'imported']),
    state: z.enum(['complete', 'deleted']),
    manifestSha256: z.string(),
    image: z.string(),
    imageId: z.string(),
    capturedAt: TIME,
    protectedUntil: MAYBE_TIME.describe('Until then it is the last copy of a previous state and cannot be deleted'),
    createdAt: TIME,
    deletedAt: MAYBE_TIME,
    archiveBytes: z.int(),
    contentBytes: z.int(),
    entries: z.int(),
    origin: z
      .looseObject({ policy: z.enum(['strict', 'faithful']), importedBy: z.string(), importedAt: TIME })
      .nullable()
      .describe('Of an imported snapshot: whose decision, which policy, which archives'),
    volumes: z.array(
      z.object({
        name: z.string(),
        scope: z.string(),
        archiveSha256: z.string(),
        archiveBytes: z.int(),
        contentBytes: z.int(),
        entries: z.int(),
        skipped: z.int(),
      }),
    ),
  })
  .openapi('Snapshot');

export function snapshotAnswer(row: SnapshotRow, allVolumes: readonly SnapshotVolumeRow[]): z.output<typeof SNAPSHOT> {
  const own = allVolumes.filter((volume) => volume.snapshotId === row.id);
  const sum = (figure: 'archiveBytes' | 'contentBytes' | 'entries'): number =>
    own.reduce((total, volume) => total + volume[figure], 0);
  return {
    id: row.id,
    workloadId: row.workloadId,
    hostId: row.hostId,
    intentId: row.intentId,
    kind: row.kind,
    state: row.state,
    manifestSha256: row.manifestSha256,
    image: row.image,
    imageId: row.imageId,
    capturedAt: row.capturedAt.toISOString(),
    protectedUntil: time(row.protectedUntil),
    createdAt: row.createdAt.toISOString(),
    deletedAt: time(row.deletedAt),
    origin: row.origin === null ? null : { ...row.origin },
    archiveBytes: sum('archiveBytes'),
    contentBytes: sum('contentBytes'),
    entries: sum('entries'),
    volumes: own.map(({ snapshotId: _snapshotId, hostId: _hostId, ...volume }) => volume),
  };
}

export const INTENT = z
  .object({
    id: z.uuid(),
    kind: z.enum(INTENT_KINDS),
    state: z.enum(INTENT_STATES),
    workloadId: z.uuid(),
    snapshotId: z.uuid().nullable(),
    hostId: z.uuid(),
    undoOf: z.uuid().nullable(),
    params: z.looseObject({}),
    requestedBy: z.string(),
    createdAt: TIME,
    notAfter: MAYBE_TIME,
    claimedAt: MAYBE_TIME,
    cancelRequestedAt: MAYBE_TIME,
    committedAt: MAYBE_TIME,
    finishedAt: MAYBE_TIME,
    over: z.boolean().describe('No further work happens on its own'),
    step: z.string().nullable(),
    progress: z.object({ bytesDone: z.number(), bytesTotal: z.number(), entriesDone: z.number() }).nullable(),
    result: z.looseObject({}).nullable(),
    error: z
      .looseObject({ code: z.string(), message: z.string(), hint: z.string(), step: z.string().optional() })
      .nullable(),
  })
  .openapi('Intent');

export function intentAnswer(row: IntentRow): z.output<typeof INTENT> {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    workloadId: row.workloadId,
    snapshotId: row.snapshotId,
    hostId: row.hostId,
    undoOf: row.undoOf,
    params: { ...row.params },
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    notAfter: time(row.notAfter),
    claimedAt: time(row.claimedAt),
    cancelRequestedAt: time(row.cancelRequestedAt),
    committedAt: time(row.committedAt),
    finishedAt: time(row.finishedAt),
    over: isOver(row.state),
    step: row.step,
    progress: row.progress,
    result: row.result,
    error: row.error === null ? null : { ...row.error },
  };
}

export const TOKEN = z
  .object({
    jti: z.uuid(),
    subject: z.string(),
    scopes: z.array(z.string()),
    workloads: z.array(z.uuid()).nullable().describe('Ids of the workloads that it is limited to; null: no limit'),
    projects: z.array(z.string()).nullable().describe('Names of the projects that it is limited to; null: no limit'),
    createdBy: z.string(),
    createdAt: TIME,
    expiresAt: TIME,
    revokedAt: MAYBE_TIME,
  })
  .openapi('Token');

export function tokenAnswer(row: TokenRow): z.output<typeof TOKEN> {
  return {
    jti: row.jti,
    subject: row.subject,
    scopes: row.scopes,
    workloads: row.workloads,
    projects: row.projects,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    revokedAt: time(row.revokedAt),
  };
}

export const ISSUER = z
  .object({
    id: z.uuid(),
    name: z.string(),
    issuer: z.string(),
    audience: z.string(),
    algorithms: z.array(z.string()),
    rules: z.array(z.looseObject({})),
    createdBy: z.string(),
    createdAt: TIME,
    keysFetchedAt: MAYBE_TIME,
  })
  .openapi('Issuer');

export function issuerAnswer(row: IssuerRow): z.output<typeof ISSUER> {
  return {
    id: row.id,
    name: row.name,
    issuer: row.issuer,
    audience: row.audience,
    algorithms: row.algorithms,
    rules: row.rules.map((rule) => ({ ...rule })),
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    keysFetchedAt: time(row.jwksFetchedAt),
  };
}

export const AUDIT = z
  .object({
    seq: z.int(),
    at: TIME,
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    outcome: z.enum(['accepted', 'refused', 'succeeded', 'failed']),
    code: z.string().nullable(),
    details: z.looseObject({}),
    requestId: z.string().nullable(),
    prevHash: z.string(),
    hash: z.string(),
  })
  .openapi('AuditEntry');

export function auditAnswer(row: AuditRow): z.output<typeof AUDIT> {
  return { ...row, at: row.at.toISOString(), details: { ...row.details } };
}

function time(at: Date | null): string | null {
  return at === null ? null : at.toISOString();
}
