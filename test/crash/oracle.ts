/**
 * The one judge of all sweeps, asked after the fault and the recovery that followed it:
 *
 * every volume is exactly the old or exactly the new tree, all volumes the same; the previous state exists, verified; what ran
 * before runs again on the same image with the same restart policy; the reported outcome is the true one; no application ever
 * started on anything but all-old or all-new; nothing is left behind.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Spool } from '../../agent/claim/spool.ts';
import { heldTrees, readJournals } from '../../agent/restore/journal-dir.ts';
import type { JournalState } from '../../agent/restore/journal-state.ts';
import { readSnapshotDirectory } from '../../agent/snapshots/read-manifest.ts';
import type { Outcome } from '../../db/results.ts';
import type { DaemonContainer } from './daemon.ts';
import type { Field } from './field.ts';
import type { Told } from './work.ts';

export interface Verdict {
  readonly violations: readonly string[];
  /** `old` or `new`, or `stuck` where that is allowed. */
  readonly ended: string;
}

export interface JudgeOptions {
  /** What the last process said that came to an end; null when none did. */
  readonly told: Told | null;
  /** The agent says so while the cause lasts; then all that matters is that nothing was deleted. */
  readonly isStuck?: boolean;
  /** Nothing failed but the process or the host: then a warning is no excuse for a missing pre-restore snapshot. */
  readonly isFaultless?: boolean;
  /** The host started again meanwhile: Docker forgets that a container was paused. */
  readonly booted?: boolean;
}

export function judge(
  field: Field,
  { told, isStuck = false, isFaultless = false, booted = false }: JudgeOptions,
): Verdict {
  const violations: string[] = [];
  const version = field.version();
  for (const { container, version: saw } of field.seen)
    if (saw === null) violations.push(`${container} was started on something that is neither old nor new`);

  const journals = readJournals(field.stateDir);
  for (const { path, damage } of journals) if (damage !== null) violations.push(`${path}: ${damage.message}`);
  const journal = journals.find(({ intentId }) => intentId === field.intentId)?.state ?? null;
  const outcome = journal?.outcome ?? null;
  if (isStuck) return { violations: [...violations, ...stuckViolations(field, journal)], ended: 'stuck' };

  if (version === null) violations.push(`neither old nor new: ${nearest(field)}`);
  const hadStarted = field.seen.some(({ version: saw }) => saw === field.wanted);
  if (isFaultless && hadStarted && version === field.before && !field.endsOnNew)
    violations.push('the new version was up, and a crash took it away again');
  violations.push(...outcomeViolations(field, journal, version === field.wanted, told));
  if (outcome?.state === 'succeeded') violations.push(...previousViolations(field, outcome, isFaultless));
  violations.push(...containerViolations(field, outcome, booted));
  violations.push(
    ...leftovers(
      field,
      journals.map(({ state }) => state).filter((state) => state !== null),
    ),
  );
  return { violations, ended: version === null ? 'broken' : version === field.before ? 'old' : 'new' };
}

function nearest(field: Field): string {
  const [one, two] = [field.differences('one'), field.differences('two')];
  return (one.length < two.length ? one : two).slice(0, 4).join('; ');
}

function outcomeViolations(field: Field, journal: JournalState | null, isNew: boolean, told: Told | null): string[] {
  const violations: string[] = [];
  const outcome = journal?.outcome ?? null;
  if (journal === null) return isNew ? ['the new version is live, and no journal says so'] : [];
  if (outcome === null) return ['the journal has no outcome after recovery'];
  const said = `${outcome.state} ${outcome.error?.code ?? ''} ${outcome.error?.message ?? ''}`;
  if (outcome.state === 'stuck') violations.push(`stuck: ${said}`);
  else if ((outcome.state === 'succeeded') !== isNew)
    violations.push(`the journal says ${said}, and the ${isNew ? 'new' : 'old'} version is live`);
  const answer = told?.intents.find(({ intentId }) => intentId === field.intentId)?.outcome;
  if (answer !== undefined && answer.state !== outcome.state)
    violations.push(`told ${answer.state} (${answer.error?.message}), and the journal says ${said}`);
  const spool = Spool.open(field.stateDir, field.intentId);
  try {
    if (spool.outcome !== null && spool.outcome.state !== outcome.state)
      violations.push(`spooled ${spool.outcome.state}, and the journal says ${said}`);
  } finally {
    spool.close();
  }
  return violations;
}

/** Nothing is deleted while it is stuck: old and new are both somewhere, or only the old one had been made. */
function stuckViolations(field: Field, journal: JournalState | null): string[] {
  // The entries of a mount point are in both places at once.
  if (field.isMountPoint) return [];
  const preflight = journal?.facts.get('preflight') as { targets: { live: string; staging: string }[] } | undefined;
  return (preflight?.targets ?? []).flatMap(({ live, staging }, index) => {
    const places = [live, staging, join(dirname(staging), `.aside-${basename(staging)}`)];
    const found = places.some((place) => field.versionAt(index, place) === field.before);
    return found ? [] : [`stuck, and the old tree of volume ${index} is nowhere`];
  });
}

/** Guarantee 2: the held tree, and the snapshot if there is one, are what was live before. */
function previousViolations(field: Field, { result }: Outcome, isFaultless: boolean): string[] {
  const violations: string[] = [];
  const held = result?.held ?? [];
  const previous = held.map((tree) => tree.previous);
  if (previous.length !== field.live.length) violations.push(`${previous.length} previous trees are held`);
  else if (field.differences(field.before, previous).length > 0)
    violations.push(`the previous tree differs: ${field.differences(field.before, previous).slice(0, 3).join('; ')}`);
  const snapshot = result?.preRestoreSnapshotPath;
  if (snapshot === undefined) {
    if (isFaultless) violations.push(`no pre-restore snapshot: ${(result?.warnings ?? []).join('; ')}`);
    else if ((result?.warnings ?? []).length === 0) violations.push('no pre-restore snapshot, and no warning about it');
    return violations;
  }
  const { manifest } = readSnapshotDirectory(snapshot);
  if (manifest.volumes.length !== field.live.length) violations.push('the pre-restore snapshot has not all volumes');
  for (const { archive, sha256 } of manifest.volumes) {
    const found = createHash('sha256')
      .update(readFileSync(join(snapshot, archive)))
      .digest('hex');
    if (found !== sha256) violations.push(`the pre-restore snapshot is damaged: ${archive}`);
  }
  return violations;
}

function containerViolations(field: Field, outcome: Outcome | null, booted: boolean): string[] {
  const recreated = outcome?.state === 'succeeded' && outcome.result?.['recreated'] === true;
  const describe = (one: DaemonContainer): string =>
    [
      one.name,
      recreated ? '' : one.id.slice(0, 12),
      one.imageId,
      `${one.policy.Name || 'no'}:${one.policy.MaximumRetryCount}`,
      booted && one.state === 'paused' ? 'running' : one.state,
    ].join(' ');
  const expected = field.containers.map(describe).sort();
  const found = field.daemon.containers.map(describe).sort();
  return expected.join('\n') === found.join('\n')
    ? []
    : [`containers are [${found.join(', ')}], were [${expected.join(', ')}]`];
}

const IN_STATE: ReadonlySet<string> = new Set(['journal', 'snapshots', 'spool', 'agent.lock']);

function leftovers(field: Field, journals: readonly JournalState[]): string[] {
  const all = journals.flatMap((state) => heldTrees(state)).map((tree) => tree.previous);
  const held = new Set(all);
  const snapshots = new Set(
    journals.flatMap(({ outcome }) =>
      outcome?.state === 'succeeded' ? [outcome.result?.snapshotId, outcome.result?.preRestoreSnapshotId] : [],
    ),
  );
  const known = new Set([...field.earlier, field.intentId].map((id) => `${id}.jsonl`));
  const found: string[] = all.length > held.size ? ['a tree that two intents hold'] : [];
  for (const name of names(field.stateDir)) if (!IN_STATE.has(name)) found.push(join(field.stateDir, name));
  for (const folder of ['journal', 'spool'])
    for (const name of names(join(field.stateDir, folder))) if (!known.has(name)) found.push(`${folder}/${name}`);
  for (const name of names(join(field.stateDir, 'snapshots')))
    if (!snapshots.has(name)) found.push(`snapshots/${name}`);
  for (const live of field.live) {
    // Beside the volume, and inside it where it is a mount point.
    for (const place of [join(live, '..'), live]) {
      for (const name of names(place).filter((one) => one.startsWith('.refloat-'))) {
        const inside = names(join(place, name));
        if (inside.length === 0) found.push(join(place, name));
        for (const tree of inside) if (!held.has(join(place, name, tree))) found.push(join(place, name, tree));
      }
    }
  }
  return [...new Set(found)].map((path) => `left behind: ${path}`);
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
