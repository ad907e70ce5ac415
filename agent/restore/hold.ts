/**
 * The previous trees that restores hold for their undo window: which there are, and handing them to an undo. release.ts ends them.
 *
 * Guarantees: what an undo gets are the trees that the swap of the undone intent put there, all of them; a path is not believed. What
 * else may lie there: what an undo that could not be decided left behind.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import type { HeldTree } from '../../db/results.ts';
import type { AgentDeps } from '../deps.ts';
import { identify, sameIdentity } from '../fs/durable.ts';
import type { VolumeTarget } from '../fs/volume-path.ts';
import type { Exchange, ExchangedName, Target } from './facts.ts';
import { Journal, type Released } from './journal.ts';
import { heldTrees, journalPath, readJournal, readJournals } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';

/** A held tree with what its intent's preflight said of its volume. */
interface HeldPlace {
  readonly tree: HeldTree;
  readonly target: Target;
}

/** The trees that an intent ever held, without those that lie in another one of them. */
export function outermostHeld(state: JournalState): HeldPlace[] {
  if (state.outcome?.state !== 'succeeded') return [];
  return (state.outcome.result?.held ?? []).flatMap((tree): HeldPlace[] => {
    const target = targetsOf(state).find(({ volume }) => volume === tree.volume);
    return target === undefined || target.within !== null ? [] : [{ tree, target }];
  });
}

/** Held paths at which something lies that the intent did not put there. */
export function strangersAt(state: JournalState): string[] {
  return outermostHeld(state)
    .filter(({ tree, target }) => identify(tree.previous) !== null && !isAsLeft(state, target))
    .map(({ tree }) => tree.previous);
}

/** Whether the intent still holds a tree, and there lies what its swap put there; of one in another one, that one counts. */
function isHeldAsLeft(state: JournalState, volume: string): boolean {
  const tree = heldTrees(state).find((held) => held.volume === volume);
  const target = targetsOf(state).find((candidate) => candidate.volume === volume);
  return tree !== undefined && target !== undefined && identify(tree.previous) !== null && isAsLeft(state, target);
}

/** By inode, as the journal has them from before the swap: its own, also when it is an undo that adopted the trees of another intent. */
function isAsLeft(state: JournalState, { volume, within }: Target): boolean {
  const exchanges = (state.facts.get('exchanges') as readonly Exchange[] | undefined) ?? [];
  const exchange = exchanges.find((candidate) => candidate.volume === (within ?? volume));
  return exchange?.names.every(isBesideLive(exchange)) ?? false;
}

/** Of the directory itself, or, where the volume is a mount point, of each of its entries. */
function isBesideLive({ staging }: Exchange): (name: ExchangedName) => boolean {
  return ({ name, old }) => {
    const path = Buffer.from(name === null ? staging : `${staging}/`);
    const found = identify(name === null ? path : Buffer.concat([path, Buffer.from(name, 'base64')]));
    return old === null ? found === null : sameIdentity(found, old);
  };
}

function targetsOf(state: JournalState): readonly Target[] {
  return (state.facts.get('preflight') as { targets: readonly Target[] } | undefined)?.targets ?? [];
}

/**
 * The targets of an undo from the trees that the undone intent holds; null unless every one of them is there as it was left, and
 * still belongs to where its volume lives by the current configuration.
 * @param warn told of a path that holds something else
 */
export function heldTargets(
  deps: AgentDeps,
  undoneIntentId: string,
  workloadId: string,
  volumes: readonly VolumeTarget[],
  warn: (message: string) => void = () => undefined,
): Target[] | null {
  const { state } = readJournal(deps.config.stateDir, undoneIntentId);
  if (state === null || state.intent.workload.id !== workloadId) return null;
  const held = heldTrees(state);
  if (held.length > 0)
    for (const path of strangersAt(state))
      warn(`${path} is not what the intent ${undoneIntentId} left there, and stays`);
  const targets = held.map((tree): Target | null => {
    const volume = volumes.find((candidate) => candidate.name === tree.volume);
    const before = targetsOf(state).find((target) => target.volume === tree.volume);
    if (volume === undefined || before === undefined || volume.live !== tree.live || !isHeldAsLeft(state, tree.volume))
      return null;
    return {
      ...before,
      mountedAt: volume.target,
      shared: volume.shared,
      existed: volume.exists,
      staging: tree.previous,
      archive: null,
    };
  });
  if (targets.length === 0 || targets.includes(null)) return null;
  return targets.filter((target) => target !== null);
}

/**
 * Right before the trees of an undo are used: they are still what its preflight found.
 * @throws RefloatError `PREVIOUS_GONE`
 */
export function assertHeld(deps: AgentDeps, undoneIntentId: string, targets: readonly Target[]): void {
  const { state } = readJournal(deps.config.stateDir, undoneIntentId);
  const lost = targets.find(({ volume }) => state === null || !isHeldAsLeft(state, volume));
  if (lost === undefined) return;
  throw new RefloatError('PREVIOUS_GONE', `the previous tree of volume "${lost.volume}" is gone from ${lost.staging}`, {
    hint: 'Restore its pre-restore snapshot instead.',
  });
}

/** Records that an intent's held trees are gone or belong to another intent now. Idempotent. */
export function markReleased(deps: AgentDeps, intentId: string, why: Released, by?: string): void {
  const journal = Journal.open(journalPath(deps.config.stateDir, intentId), intentId, deps.now);
  try {
    if (journal.records.some((record) => record.type === 'released')) return;
    journal.append({ type: 'released', why, ...(by === undefined ? {} : { by }) });
  } finally {
    journal.close();
  }
}

/** Says of undone intents what a disk that failed at the end of the undo kept from being said: that their trees are the undo's now. */
export function finishAdoptions(deps: AgentDeps, journals = readJournals(deps.config.stateDir)): void {
  for (const { intentId, state } of journals) {
    const preflight = state?.facts.get('preflight') as { adoptedFrom?: string | null } | undefined;
    const undone = journals.find((entry) => entry.intentId === preflight?.adoptedFrom);
    if (state?.outcome?.state !== 'succeeded' || undone?.state == null || heldTrees(undone.state).length === 0)
      continue;
    try {
      markReleased(deps, undone.intentId, 'adopted', intentId);
    } catch (thrown) {
      deps.log.error(
        { intentId: undone.intentId, error: toRefloatError(thrown).toJSON() },
        'its trees are still named twice',
      );
    }
  }
}
