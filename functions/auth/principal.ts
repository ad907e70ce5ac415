/** Who asks, and what they may do. */
import { RefloatError } from '../../db/errors.ts';
import { FLEET_SCOPES, type TokenScope } from './scopes.ts';

export interface Principal {
  readonly jti: string;
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** Ids of the workloads that it is limited to; null: no limit. */
  readonly workloads: ReadonlySet<string> | null;
  readonly via: 'bearer' | 'cookie';
  readonly expiresAt: Date;
}

/** Throws `FORBIDDEN` without the scope, and for a limited token where the scope reaches beyond workloads. */
export function requireScope(principal: Principal, scope: TokenScope): void {
  if (!principal.scopes.has(scope)) {
    throw new RefloatError('FORBIDDEN', `this needs the scope ${scope}`, {
      hint: `Use a token with the scope ${scope}.`,
      details: { scope },
    });
  }
  if (principal.workloads !== null && FLEET_SCOPES.has(scope)) {
    throw new RefloatError('FORBIDDEN', 'this token is limited to workloads', {
      hint: `The scope ${scope} reaches the whole fleet: use a token without a limit to workloads.`,
      details: { scope },
    });
  }
}

/** Throws `FORBIDDEN` if the principal is limited to other workloads; whether this one exists is not looked at. */
export function requireWorkload(principal: Principal, workloadId: string): void {
  if (principal.workloads === null || principal.workloads.has(workloadId.toLowerCase())) return;
  throw new RefloatError('FORBIDDEN', 'this token is limited to other workloads', {
    hint: 'Use a token for this workload, or one without a limit.',
  });
}
