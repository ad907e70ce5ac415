/**
 * The steps of each kind of intent in their order, for those who show progress. The sagas decide; a step that is
 * missing here is still shown, after the ones that are.
 */
import type { IntentKind } from './intent-state.ts';

export const INTENT_STEPS = {
  deploy: ['preflight', 'create', 'replace', 'health'],
  capture: ['preflight', 'check_disk', 'pre_hook', 'freeze', 'clone', 'resume', 'archive', 'verify', 'register'],
  plan: ['preflight', 'check_disk'],
  restore: ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'],
  undo: ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'],
  verify: ['verify'],
  delete: ['delete'],
} as const satisfies Record<IntentKind, readonly string[]>;
