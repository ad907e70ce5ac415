/** The control of an intent that nobody cancels and nobody listens to. */
import type { IntentControl } from '../../agent/claim/intent-control.ts';

export const SILENT_CONTROL: IntentControl = {
  signal: new AbortController().signal,
  emit: () => undefined,
  progress: () => undefined,
  confirmStop: async () => undefined,
  prepareCommit: () => undefined,
  confirmCommit: async () => undefined,
};
