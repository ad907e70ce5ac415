/**
 * The state machine of an intent. This table is the truth in types; migration 0001 holds the same pairs in
 * `intent_transitions`, which a trigger enforces, and a test compares the two.
 */
export const INTENT_STATES = [
  'pending',
  'claimed',
  'running',
  'succeeded',
  'failed',
  'rolled_back',
  'cancelled',
  'stuck',
] as const;
export type IntentState = (typeof INTENT_STATES)[number];

/** deploy … delete: see DESIGN.md, section 1. */
export const INTENT_KINDS = ['deploy', 'capture', 'plan', 'restore', 'undo', 'verify', 'delete', 'import'] as const;
export type IntentKind = (typeof INTENT_KINDS)[number];

/** Kinds that exclude each other on one workload; the partial unique index `intents_one_under_way` holds the same list. */
export const EXCLUSIVE_KINDS = [
  'deploy',
  'capture',
  'restore',
  'undo',
  'delete',
] as const satisfies readonly IntentKind[];

const TRANSITIONS = {
  pending: ['claimed', 'cancelled', 'failed'],
  claimed: ['running', 'succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck'],
  running: ['succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck'],
  succeeded: [],
  failed: [],
  rolled_back: [],
  cancelled: [],
  // A person repaired what was stuck, and recovery could then finish or unwind it.
  stuck: ['succeeded', 'failed', 'rolled_back', 'cancelled'],
} as const satisfies Record<IntentState, readonly IntentState[]>;

export function canMove(from: IntentState, to: IntentState): boolean {
  return (TRANSITIONS[from] as readonly IntentState[]).includes(to);
}

/** No further work happens on its own; `stuck` waits for a person. */
export function isOver(state: IntentState): boolean {
  return TRANSITIONS[state].length === 0 || state === 'stuck';
}
