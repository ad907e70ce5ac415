/** All journals of this host: one file per intent in `$REFLOAT_STATE_DIR/journal`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { isUuid } from '../../db/ids.ts';
import type { HeldTree } from '../../db/results.ts';
import { lockIdOf } from '../deploy/labels.ts';
import { makeDirectoriesDurably, removeFileDurably } from '../fs/durable.ts';
import type { RestoreFacts } from './facts.ts';
import { readRecords } from './journal.ts';
import { type JournalState, reduceJournal } from './journal-state.ts';

export interface JournalEntry {
  readonly intentId: string;
  readonly path: string;
  /** Null when the first record never became durable. */
  readonly state: JournalState | null;
  /** Why it cannot be read; then `state` is null. */
  readonly damage: RefloatError | null;
}

function journalDirectory(stateDir: string): string {
  return join(stateDir, 'journal');
}

export function journalPath(stateDir: string, intentId: string): string {
  return join(journalDirectory(stateDir), `${intentId}.jsonl`);
}

export function ensureJournalDirectory(stateDir: string): void {
  makeDirectoriesDurably(journalDirectory(stateDir), 0o700);
}

/** Reads every journal, oldest intent first (ids sort by time). A damaged one is listed, never thrown. */
export function readJournals(stateDir: string): JournalEntry[] {
  let names: string[];
  try {
    names = readdirSync(journalDirectory(stateDir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const ids = names
    .filter((name) => name.endsWith('.jsonl') && isUuid(name.slice(0, -6)))
    .map((name) => name.slice(0, -6));
  return ids.sort().map((intentId) => readJournal(stateDir, intentId));
}

/** Reads the journal of one intent; `state` is null if there is none. */
export function readJournal(stateDir: string, intentId: string): JournalEntry {
  const path = journalPath(stateDir, intentId);
  try {
    const { records } = readRecords(readFileSync(path), path, intentId);
    return { intentId, path, state: reduceJournal(records), damage: null };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { intentId, path, state: null, damage: null };
    return { intentId, path, state: null, damage: toRefloatError(error) };
  }
}

export function isUnfinished(state: JournalState): boolean {
  return state.outcome === null || state.outcome.state === 'stuck';
}

/**
 * Refuses new work on a workload, or on a container without the label of one, while an older intent that works on it is unfinished on
 * this host, or a journal cannot be read at all (then nobody knows whose it is). Ask under its lock: without it, what runs looks the same.
 * @throws RefloatError `WORKLOAD_STUCK`
 */
export function assertNothingUnfinished(stateDir: string, lockId: string, exceptIntentId: string): void {
  assertNothing(stateDir, lockId, exceptIntentId, isUnfinished);
}

/**
 * The same without the lock, of what is not merely under way.
 * @throws RefloatError `WORKLOAD_STUCK`
 */
export function assertNothingStuck(stateDir: string, lockId: string, exceptIntentId: string): void {
  assertNothing(stateDir, lockId, exceptIntentId, ({ outcome }) => outcome?.state === 'stuck');
}

function assertNothing(
  stateDir: string,
  lockId: string,
  exceptIntentId: string,
  isInTheWay: (state: JournalState) => boolean,
): void {
  for (const { intentId, state, damage, path } of readJournals(stateDir)) {
    if (intentId === exceptIntentId) continue;
    if (damage === null && (state === null || !isInTheWay(state) || !worksOn(state, lockId))) continue;
    const whose = state === null ? '' : ` of "${state.intent.workload.config.name}"`;
    throw new RefloatError('WORKLOAD_STUCK', `the intent ${intentId}${whose} was not finished on this host`, {
      hint: `Run "refloat-agent status" on the host, mend what it names, then "refloat-agent recover". The journal is ${path}.`,
      details: { intentId },
      ...(damage === null ? {} : { cause: damage }),
    });
  }
}

/** It is its own workload, or it has stopped containers of that and has not brought them back for good. */
function worksOn({ intent, facts, done, undone }: JournalState, lockId: string): boolean {
  if (intent.workload.id === lockId) return true;
  // Of a restore, and of a capture.
  if (done.has('health') || undone.has('quiesce') || done.has('resume') || undone.has('freeze')) return false;
  const others = (facts.get('others') ?? []) as RestoreFacts['others'];
  const containers = (facts.get('containers') ?? []) as RestoreFacts['containers'];
  return [...others, ...containers].some((container) => lockIdOf(container) === lockId);
}

/** The previous trees that an intent holds for its undo window; empty when it holds none any more. */
export function heldTrees(state: JournalState): readonly HeldTree[] {
  if (state.released !== null || state.outcome === null || state.outcome.state !== 'succeeded') return [];
  return state.outcome.result?.held ?? [];
}

/** Removes the journal of an intent that is over and holds nothing. */
export function removeJournal(stateDir: string, intentId: string): void {
  removeFileDurably(journalPath(stateDir, intentId));
}
