/**
 * The steps of each kind of intent in their order, for those who show progress. The sagas decide; a step that is
 * missing here is still shown, after the ones that are.
 */
import type { IntentKind } from './intent-state.ts';

export const INTENT_STEPS = {
  deploy: ['deploy'],
  capture: [
    'preflight',
    'check_disk',
    'copy',
    'before_hook',
    'catch_up',
    'freeze',
    'clone',
    'resume',
    'after_hook',
    'archive',
    'register',
  ],
  plan: ['plan'],
  restore: ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'],
  undo: ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'],
  verify: ['verify'],
  delete: ['delete'],
  import: ['import'],
} as const satisfies Record<IntentKind, readonly string[]>;
