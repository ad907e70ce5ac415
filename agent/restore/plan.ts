/**
 * All checks of a restore or undo, without any side effect. The steps preflight and check_disk run this and nothing else,
 * and a plan intent tells it to people (plan-report.ts).
 */
import { dirname, join } from 'node:path';
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { assertComplete, findAdopted } from '../deploy/find-adopted.ts';
import { type PickedImage, pickImage } from '../deploy/pick-image.ts';
import { recordContainers } from '../deploy/quiesce.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { AgentDeps } from '../deps.ts';
import { existingParent, type FileSystemSpace, type SpaceNeed, spaceByFileSystem } from '../fs/disk-space.ts';
import { isMountPoint, mountOf, mountsWithin, readMounts } from '../fs/mounts.ts';
import { resolveVolume, type VolumeTarget } from '../fs/volume-path.ts';
import type { ClaimedIntent, SnapshotRef } from '../intents/claimed-intent.ts';
import { tooLarge } from '../intents/host-limits.ts';
import { policyOf } from '../snapshots/manifest.ts';
import { readManifestOf } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import type { Target } from './facts.ts';
import { heldTargets } from './hold.ts';
import { assertNothingUnfinished, readJournal } from './journal-dir.ts';
import { nestTargets, partlyRestoredRefusals, sameDirectoryRefusals } from './nesting.ts';
import { checkSharing } from './sharing.ts';

export interface RestoreChecks {
  readonly targets: readonly Target[];
  readonly adoptedFrom: string | null;
  readonly hostPaths: Readonly<Record<string, string>>;
  readonly adoptedIds: readonly string[];
  readonly image: { readonly reference: string; readonly id: string } | null;
  readonly containers: readonly QuiescedContainer[];
  readonly refusals: readonly RefloatError[];
  readonly warnings: readonly string[];
}

/** Runs every check, collecting all refusals instead of stopping at the first. */
export async function checkRestore(deps: AgentDeps, intent: ClaimedIntent): Promise<RestoreChecks> {
  const refusals: RefloatError[] = [];
  const warnings: string[] = [];
  const collect = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work;
    } catch (thrown) {
      refusals.push(toRefloatError(thrown));
      return null;
    }
  };

  await collect(unfinished(deps, intent));
  const volumes: VolumeTarget[] = [];
  for (const volume of intent.workload.config.volumes) {
    const resolved = await collect(resolveVolume(deps, intent.workload.config, volume));
    if (resolved !== null) volumes.push(resolved);
  }
  if (intent.workload.config.source !== 'image') refusals.push(notAnImage(intent.workload.config.source));
  refusals.push(...mountRefusals(volumes), ...sameDirectoryRefusals(volumes));

  const found = refusals.length > 0 ? null : await collect(findTargets(deps, intent, volumes, warnings));
  const targets = found?.targets ?? [];
  if (found !== null) refusals.push(...partlyRestoredRefusals(volumes, targets));
  const hostPaths = Object.fromEntries(volumes.map((volume) => [volume.name, volume.live]));
  const adopted = await collect(findAdopted(deps.engine, intent.workload.config, new Map(Object.entries(hostPaths))));
  const adoptedIds = (adopted ?? []).map(({ id }) => id);
  const containers = (await collect(recordContainers(deps.engine, intent.workload.id, adoptedIds))) ?? [];
  // Then it is made anew, once the data is in place; better to say now what would be said then.
  if (adopted !== null && containers.length === 0)
    await collect(Promise.resolve().then(() => assertComplete(intent.workload.config)));
  const image = await collect(pickImageOrRefuse(deps, intent, containers));
  const sharing = await collect(checkSharing(deps, intent, targets, adoptedIds));
  refusals.push(...(sharing?.refusals ?? []));
  warnings.push(...(sharing?.warnings ?? []));

  return {
    targets,
    adoptedFrom: found?.adoptedFrom ?? null,
    hostPaths,
    adoptedIds,
    image,
    containers,
    refusals,
    warnings,
  };
}

export interface SpaceCheck {
  readonly fileSystems: readonly FileSystemSpace[];
  /** Of the live trees, by volume. */
  readonly sizes: ReadonlyMap<string, { readonly bytes: number; readonly entries: number }>;
}

/** Free space against what staging and the pre-restore snapshot will take. */
export async function measureSpace(deps: AgentDeps, targets: readonly Target[]): Promise<SpaceCheck> {
  const sizes = new Map<string, { bytes: number; entries: number }>();
  for (const target of targets) {
    const size = target.existed ? await deps.archiver.measure(target.live) : null;
    sizes.set(target.volume, { bytes: size?.allocatedBytes ?? 0, entries: size?.entries ?? 0 });
  }
  return { sizes, fileSystems: spaceByFileSystem(spaceNeeds(deps, targets, sizes), readMounts()) };
}

/** A plan asks without its workload's lock: what has no end in its journal may be under way. */
async function unfinished({ config, locks }: AgentDeps, { id, kind, workload }: ClaimedIntent): Promise<void> {
  try {
    assertNothingUnfinished(config.stateDir, workload.id, id);
  } catch (thrown) {
    const other = String(toRefloatError(thrown).details?.['intentId']);
    const hasNoEnd = readJournal(config.stateDir, other).state?.outcome === null;
    throw kind === 'plan' && hasNoEnd && locks.isHeld(workload.id) ? underWay(other) : thrown;
  }
}

function underWay(intentId: string): RefloatError {
  return new RefloatError('WORKLOAD_BUSY', `the intent ${intentId} works on the workload, or on its containers`, {
    hint: 'Wait until it has come to its end; then ask for the plan again.',
    details: { intentId },
  });
}

async function pickImageOrRefuse(
  deps: AgentDeps,
  { workload }: ClaimedIntent,
  containers: readonly QuiescedContainer[],
): Promise<PickedImage> {
  const image = await pickImage(deps.engine, workload, containers);
  if (image !== null) return image;
  throw new RefloatError(
    'IMAGE_GONE',
    `the workload has no container, and its image ${workload.config.image} is not on this host`,
    {
      hint: `Load it ("docker load" or "docker pull ${workload.config.image}"), then restore again.`,
      details: { image: workload.config.image },
    },
  );
}

async function findTargets(
  deps: AgentDeps,
  intent: ClaimedIntent,
  volumes: readonly VolumeTarget[],
  warnings: string[],
): Promise<{ targets: Target[]; adoptedFrom: string | null }> {
  if (intent.kind !== 'undo') {
    if (intent.snapshot === null) throw noSnapshot(intent);
    return { targets: await snapshotTargets(deps, intent, intent.snapshot, volumes, warnings), adoptedFrom: null };
  }
  if (intent.undoOf === null) throw noSnapshot(intent);
  const warn = (message: string) => warnings.push(message);
  const held = heldTargets(deps, intent.undoOf.intentId, intent.workload.id, volumes, warn);
  if (held !== null) return { targets: held, adoptedFrom: intent.undoOf.intentId };
  if (readJournal(deps.config.stateDir, intent.undoOf.intentId).state?.released === 'low-disk')
    warnings.push(
      'the previous tree was given up early because the disk ran low; its pre-restore snapshot is restored',
    );
  if (intent.undoOf.preRestoreSnapshot === null) {
    throw new RefloatError(
      'PREVIOUS_GONE',
      `the state before the intent ${intent.undoOf.intentId} is no longer on this host`,
      {
        hint: 'Its undo window is over and it has no pre-restore snapshot. Restore another snapshot instead.',
      },
    );
  }
  return {
    targets: await snapshotTargets(deps, intent, intent.undoOf.preRestoreSnapshot, volumes, warnings),
    adoptedFrom: null,
  };
}

async function snapshotTargets(
  deps: AgentDeps,
  intent: ClaimedIntent,
  snapshot: SnapshotRef,
  volumes: readonly VolumeTarget[],
  warnings: string[],
): Promise<Target[]> {
  if (snapshot.workloadId !== intent.workload.id) {
    throw new RefloatError('SNAPSHOT_NOT_FOUND', `the snapshot ${snapshot.id} is another workload's`, {
      hint: "List the workload's own snapshots.",
    });
  }
  const store = snapshotStore(deps.config.stateDir);
  const manifest = readManifestOf(store, snapshot, intent.workload.id);
  const byName = new Map(manifest.volumes.map((volume) => [volume.name, volume]));
  const targets = volumes.flatMap((volume): Target[] => {
    const captured = byName.get(volume.name);
    if (captured === undefined) {
      warnings.push(`volume "${volume.name}" is not in the snapshot and stays as it is`);
      return [];
    }
    byName.delete(volume.name);
    return [
      targetOf(intent.id, volume, {
        path: join(store.directoryOf(snapshot.id), captured.archive),
        sha256: captured.sha256,
        archiveBytes: captured.archiveBytes,
        counts: captured.counts,
        ...(captured.longestPath === undefined ? {} : { longestPath: captured.longestPath }),
        policy: policyOf(manifest),
      }),
    ];
  });
  const larger = tooLarge(
    deps.config,
    targets.flatMap(({ archive }) => archive ?? []),
  );
  if (larger !== undefined) throw larger;
  for (const name of byName.keys())
    warnings.push(`volume "${name}" of the snapshot is no longer in the workload's configuration and is left out`);
  if (targets.length === 0) {
    throw new RefloatError('VOLUME_NOT_IN_SNAPSHOT', "none of the workload's volumes is in the snapshot", {
      hint: 'The volumes were renamed, or the snapshot is of an older configuration: give a volume the name that it had.',
    });
  }
  return nestTargets(targets);
}

/** Puts the paths of one volume's restore together. */
function targetOf(intentId: string, volume: VolumeTarget, archive: Target['archive']): Target {
  const mountPoint = isMountPoint(volume.live);
  const privateDirectory = join(mountPoint ? volume.live : dirname(volume.live), `.refloat-${intentId}`);
  return {
    volume: volume.name,
    scope: volume.scope,
    source: volume.source,
    mountedAt: volume.target,
    live: volume.live,
    shared: volume.shared,
    existed: volume.exists,
    mountPoint,
    within: null,
    privateDirectory,
    staging: join(privateDirectory, volume.name),
    archive,
  };
}

/** A file takes whole blocks, a directory at least one; the estimate errs upwards. */
const BLOCK_BYTES = 4096;

function spaceNeeds(deps: AgentDeps, targets: readonly Target[], sizes: SpaceCheck['sizes']): SpaceNeed[] {
  return targets.flatMap((target): SpaceNeed[] => {
    const previous = sizes.get(target.volume) ?? { bytes: 0, entries: 0 };
    const preserve: SpaceNeed = {
      path: deps.config.stateDir,
      bytes: previous.bytes + previous.entries * 1024,
      inodes: 4,
    };
    if (target.archive === null) return [preserve];
    const { contentBytes, entries } = target.archive.counts;
    return [
      { path: dirname(target.privateDirectory), bytes: contentBytes + entries * BLOCK_BYTES, inodes: entries },
      preserve,
    ];
  });
}

function mountRefusals(volumes: readonly VolumeTarget[]): RefloatError[] {
  const mounts = readMounts();
  return volumes.flatMap((volume) => {
    const inside = mountsWithin(mounts, volume.live).find((mount) => mount.mountPoint !== volume.live);
    if (inside !== undefined) {
      return [
        new RefloatError(
          'VOLUME_IS_MOUNT_POINT',
          `volume "${volume.name}": a file system is mounted inside it, at ${inside.mountPoint}`,
          {
            hint: 'It would move with the previous data. Make the mount a volume of its own, beside this one.',
            details: { volume: volume.name, mountPoint: inside.mountPoint },
          },
        ),
      ];
    }
    const holder = mountOf(mounts, existingParent(volume.live));
    if (!holder.readOnly) return [];
    return [
      new RefloatError('FILE_SYSTEM_FAILED', `volume "${volume.name}": ${holder.mountPoint} is mounted read-only`, {
        hint: 'Mount it read-write; a restore must write there.',
        details: { volume: volume.name, mountPoint: holder.mountPoint },
      }),
    ];
  });
}

function notAnImage(source: string): RefloatError {
  return new RefloatError('SOURCE_NOT_IMAGE', `workloads with source "${source}" cannot be restored`, {
    hint: 'Only workloads with source "image" can.',
  });
}

function noSnapshot(intent: ClaimedIntent): RefloatError {
  return new RefloatError('SNAPSHOT_NOT_FOUND', `the intent ${intent.id} names no snapshot that is on this host`, {
    hint: "List the workload's snapshots and choose one.",
  });
}
