/** What this host's own configuration lets intents do. Nothing that the server sends can widen it. */
import { RefloatError } from '../../db/errors.ts';
import type { AgentConfig } from '../config.ts';
import type { ClaimedIntent } from './claimed-intent.ts';

/** @throws RefloatError `KIND_NOT_ALLOWED` */
export function requireAllowedKind(
  { allowedIntents }: Pick<AgentConfig, 'allowedIntents'>,
  { kind }: ClaimedIntent,
): void {
  if (allowedIntents.has(kind)) return;
  throw new RefloatError('KIND_NOT_ALLOWED', `this host does no intents of the kind ${kind}`, {
    hint: 'Only its own configuration allows it: REFLOAT_ALLOWED_INTENTS on the host.',
    details: { kind },
  });
}

/** What of a restore is larger than this host allows; undefined: nothing. */
export function tooLarge(
  { maxRestoreBytes }: Pick<AgentConfig, 'maxRestoreBytes'>,
  archives: readonly { readonly counts: { readonly contentBytes: number } }[],
): RefloatError | undefined {
  const bytes = archives.reduce((sum, { counts }) => sum + counts.contentBytes, 0);
  if (maxRestoreBytes === null || bytes <= maxRestoreBytes) return undefined;
  return new RefloatError(
    'LIMIT_EXCEEDED',
    `the snapshot holds ${bytes} bytes, and this host restores ${maxRestoreBytes} at most`,
    {
      hint: 'Only its own configuration allows more: REFLOAT_MAX_RESTORE_BYTES on the host.',
      details: { bytes, maxRestoreBytes },
    },
  );
}
