/**
 * Which volume scopes exist, and which of them can be captured and restored.
 * The API, capture and restore all read SUPPORTED_SCOPES, so that they cannot disagree.
 */
export const SCOPES = ['absolute', 'project', 'stage', 'named', 'instance', 'ephemeral'] as const;
export type Scope = (typeof SCOPES)[number];

export const SUPPORTED_SCOPES = ['absolute', 'project', 'stage', 'named'] as const satisfies readonly Scope[];
export type SupportedScope = (typeof SUPPORTED_SCOPES)[number];

export function isSupportedScope(scope: Scope): scope is SupportedScope {
  return (SUPPORTED_SCOPES as readonly Scope[]).includes(scope);
}
