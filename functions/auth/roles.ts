/** What the roles of people mean in scopes. */
import type { Role } from '../../db/roles.ts';
import { SCOPES_OF_TOKENS, type TokenScope } from './scopes.ts';

const VIEWER: readonly TokenScope[] = ['hosts:read', 'workloads:read', 'snapshots:read', 'intents:read'];
const OPERATOR: readonly TokenScope[] = [...VIEWER, 'workloads:deploy', 'snapshots:capture', 'restores:create'];

/** A scope that is new is an admin's until it is named here. */
export const SCOPES_OF_ROLES: Readonly<Record<Role, ReadonlySet<TokenScope>>> = {
  viewer: new Set(VIEWER),
  operator: new Set(OPERATOR),
  admin: new Set(SCOPES_OF_TOKENS),
};
