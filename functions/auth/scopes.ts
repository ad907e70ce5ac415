/** What a token may be allowed to do; one scope per family of routes (see app.ts). */
export const SCOPES_OF_TOKENS = [
  'hosts:read',
  'hosts:write',
  'workloads:read',
  'workloads:write',
  'workloads:deploy',
  'snapshots:read',
  'snapshots:capture',
  'snapshots:delete',
  'restores:create',
  'intents:read',
  'tokens:write',
  'people:write',
  'audit:read',
] as const;
export type TokenScope = (typeof SCOPES_OF_TOKENS)[number];

/**
 * Scopes that reach beyond single workloads: a token that is limited to workloads is refused there, whatever scopes it
 * has. Otherwise `tokens:write` could mint a token without the limit.
 */
export const FLEET_SCOPES: ReadonlySet<TokenScope> = new Set([
  'hosts:write',
  'tokens:write',
  'people:write',
  'audit:read',
]);
