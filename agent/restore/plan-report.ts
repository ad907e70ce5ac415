/**
 * What a plan intent returns: the checks of preflight and check_disk, and what is worth knowing before one says yes.
 *
 * Guarantees: no side effect, and no lock, so that a restore never waits for a plan; what costs (comparing the snapshot with what is live)
 * is bounded in time, runs at a low priority and says when it was not finished.
 * Does not guarantee: that a restore finds the same; it checks again.
 */
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { PlannedDowntime, PlannedImage, RestorePlan, TreeDifference } from '../../db/results.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { limitsOf } from '../snapshots/limits.ts';
import { readManifestOf } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import type { Target } from './facts.ts';
import { readJournals } from './journal-dir.ts';
import { roomToMake } from './low-disk.ts';
import { checkRestore, measureSpace, type RestoreChecks } from './plan.ts';

/** Of all volumes together. */
const COMPARE_MS = 20_000;
const NAMES_PER_KIND = 20;

/** @param signal ends the comparison: the plan is cancelled, or the agent stops */
export async function planRestore(deps: AgentDeps, intent: ClaimedIntent, signal: AbortSignal): Promise<RestorePlan> {
  const checks = await checkRestore(deps, intent);
  const { fileSystems, sizes } = await measureSpace(deps, checks.targets);
  const warnings = [...checks.warnings];
  const room = await roomToMake(deps, intent, fileSystems, checks.adoptedFrom);
  const refusals = [...checks.refusals, ...room.refusals];
  if (room.full.length > 0 && room.refusals.length === 0)
    warnings.push(
      `low disk: previous trees are given up, of ${room.intentIds.join(', ')}; their pre-restore snapshots stay`,
    );
  const image = await plannedImage(deps, intent, checks);
  if (image?.movedSinceCapture === true)
    warnings.push(
      `the snapshot was made on image ${image.captured?.id}, and the workload comes up on the one that it runs now, ${image.id}`,
    );
  const differences = await compareAll(deps, refusals.length > 0 ? [] : checks.targets, { warnings, refusals }, signal);
  return {
    ok: refusals.length === 0,
    refusals: refusals.map((refusal) => refusal.toJSON()),
    warnings,
    targets: checks.targets.map(({ volume, scope, live, existed, within }) => ({
      volume,
      scope,
      live,
      exists: existed,
      within,
      ...(sizes.get(volume) ?? { bytes: 0, entries: 0 }),
      difference: differences.get(volume) ?? null,
    })),
    fileSystems,
    containers: checks.containers.map(({ id, name, state, restartPolicy }) => ({
      id,
      name,
      state,
      restartPolicy: restartPolicy.name,
    })),
    image,
    downtime: plannedDowntime(deps, intent, checks),
  };
}

async function plannedImage(
  deps: AgentDeps,
  { snapshot, workload }: ClaimedIntent,
  { image, targets }: RestoreChecks,
): Promise<PlannedImage | null> {
  if (image === null) return null;
  const referenceId = await deps.engine.imageId(image.reference);
  // Without targets the manifest could not be read, which a refusal says.
  const captured =
    snapshot === null || targets.length === 0
      ? null
      : readManifestOf(snapshotStore(deps.config.stateDir), snapshot, workload.id).image;
  const movedSinceCapture = captured !== null && captured.id !== '' && captured.id !== image.id;
  return { ...image, referenceId, captured, movedSinceCapture };
}

async function compareAll(
  deps: AgentDeps,
  targets: readonly Target[],
  { warnings, refusals }: { readonly warnings: string[]; readonly refusals: RefloatError[] },
  signal: AbortSignal,
): Promise<Map<string, TreeDifference>> {
  const until = performance.now() + COMPARE_MS;
  const differences = new Map<string, TreeDifference>();
  for (const { volume, live, existed, archive } of targets) {
    if (archive === null) continue;
    try {
      const difference = await deps.archiver.compare(
        {
          archive: archive.path,
          policy: archive.policy,
          limits: limitsOf(archive),
          root: existed ? live : null,
          names: NAMES_PER_KIND,
          milliseconds: Math.max(0, until - performance.now()),
        },
        signal,
      );
      differences.set(volume, difference);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toRefloatError(thrown);
      // An archive that is damaged would be refused while it is staged.
      if (error.disposition === 'refuse') refusals.push(error);
      else warnings.push(`volume "${volume}" could not be compared: ${error.message}`);
    }
  }
  return differences;
}

/** Stop and start of this workload take as long as they took the last time; nothing else happens in between. */
function plannedDowntime(deps: AgentDeps, { workload }: ClaimedIntent, { containers }: RestoreChecks): PlannedDowntime {
  const stopTimeoutMs = workload.config.stopTimeoutSeconds * 1000;
  if (!containers.some(({ active }) => active)) return { estimateMs: 0, measuredAt: null, stopTimeoutMs };
  const last = readJournals(deps.config.stateDir)
    .flatMap(({ state }) => (state === null ? [] : [state]))
    .filter(({ intent, outcome }) => intent.workload.id === workload.id && outcome?.state === 'succeeded')
    .findLast(({ intent }) => intent.kind === 'restore' || intent.kind === 'undo');
  return {
    estimateMs: last?.outcome?.result?.downtimeMs ?? null,
    measuredAt: (last?.facts.get('stopping') as string | undefined) ?? null,
    stopTimeoutMs,
  };
}
