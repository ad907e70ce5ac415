/** Who asks, and what they may do. */
import { RefloatError } from '../../db/errors.ts';
import type { Role } from '../../db/roles.ts';
import type { ProofKind } from '../../db/schema/sessions.ts';
import { FLEET_SCOPES, type TokenScope } from './scopes.ts';

export type Principal = Person | Automation;

interface Allowed {
  /** Who it is in the audit, and whose Idempotency-Keys these are: `person:NAME`, or a token's subject. */
  readonly actor: string;
  /** What people read, for example as `requestedBy`. */
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** Ids of the workloads that it is limited to; null: no limit. Another one is 403. */
  readonly workloads: ReadonlySet<string> | null;
  /** Names of the projects that it is limited to; null: no limit. What is in another one is not there: 404. */
  readonly projects: ReadonlySet<string> | null;
  readonly expiresAt: Date;
}

/** A signed-in person; the session cookie is their credential. */
export interface Person extends Allowed {
  readonly kind: 'person';
  readonly personId: string;
  readonly role: Role;
  /** `oidc`: role and projects follow the issuer's claims. */
  readonly managedBy: 'admin' | 'oidc';
  readonly sessionId: string;
  /** The last time that they proved to be who they say; `fresh`: within `FRESH_PROOF_SECONDS`. */
  readonly proof: { readonly kind: ProofKind; readonly at: Date | null; readonly fresh: boolean };
}

/** A bearer token. */
export interface Automation extends Allowed {
  readonly kind: 'automation';
  readonly jti: string;
  /** The trusted issuer that vouches for it; null: a token of ours. */
  readonly issuerId: string | null;
}

/** Whose rate limit this counts for: a person's, in whatever browser; a token's; or, of an issuer that gives each job another, a subject's. */
export function limitedAs(principal: Principal): string {
  if (principal.kind === 'person') return `person:${principal.personId}`;
  return principal.issuerId === null ? `token:${principal.jti}` : principal.actor;
}

/** Throws `FORBIDDEN` without the scope, and for a limited principal where the scope reaches beyond its limit. */
export function requireScope(principal: Principal, scope: TokenScope): void {
  if (!principal.scopes.has(scope)) {
    throw new RefloatError('FORBIDDEN', `this needs the scope ${scope}`, {
      hint:
        principal.kind === 'person'
          ? `As ${principal.role} you do not have it. Ask an admin.`
          : `Use a token with the scope ${scope}.`,
      details: { scope },
    });
  }
  const limit = principal.workloads !== null ? 'workloads' : principal.projects !== null ? 'projects' : undefined;
  if (limit !== undefined && FLEET_SCOPES.has(scope)) {
    const who = principal.kind === 'person' ? 'your role' : 'this token';
    throw new RefloatError('FORBIDDEN', `${who} is limited to ${limit}`, {
      hint: `The scope ${scope} reaches the whole fleet: it takes a ${principal.kind === 'person' ? 'role' : 'token'} without a limit to ${limit}.`,
      details: { scope },
    });
  }
}

/** Throws `FORBIDDEN` for a viewer: whatever their scopes, they change nothing. */
export function requireMoreThanViewer(principal: Principal): void {
  if (principal.kind !== 'person' || principal.role !== 'viewer') return;
  throw new RefloatError('FORBIDDEN', 'a viewer changes nothing', { hint: 'Ask an admin for the role operator.' });
}

/**
 * Throws `FRESH_PROOF_REQUIRED` for a person whose last proof is too old; automation has none to give. Asked for where data
 * is replaced or deleted, and where a credential or a right is given out, since that would be a way around it.
 */
export function requireFreshProof(principal: Principal): void {
  if (principal.kind !== 'person' || principal.proof.fresh) return;
  throw new RefloatError('FRESH_PROOF_REQUIRED', 'this needs a proof of the last five minutes that it is you', {
    hint:
      principal.managedBy === 'oidc'
        ? 'Sign in again at your issuer: POST /api/session/proof/oidc, or the console.'
        : 'Use a passkey: POST /api/session/proof, or the console. Without one, open a new sign-in link: refloat admin invite, on the server.',
    details: { proofs: principal.managedBy === 'oidc' ? ['oidc'] : ['passkey', 'link'] },
  });
}

/** Throws `FORBIDDEN` for everything but a person. */
export function requirePerson(principal: Principal): Person {
  if (principal.kind === 'person') return principal;
  throw new RefloatError('FORBIDDEN', 'this is for people, not for tokens', { hint: 'Sign in at the console.' });
}

/** Throws `FORBIDDEN` if the principal is limited to other workloads; whether this one exists is not looked at. */
export function requireWorkload(principal: Principal, workloadId: string): void {
  if (principal.workloads === null || principal.workloads.has(workloadId.toLowerCase())) return;
  throw new RefloatError('FORBIDDEN', 'this token is limited to other workloads', {
    hint: 'Use a token for this workload, or one without a limit.',
  });
}

/** Whether what belongs to this project is there for the principal at all. */
export function seesProject(principal: Principal, project: string): boolean {
  return principal.projects === null || principal.projects.has(project);
}

/** The limits for a list, so that the database filters it. */
export function limitOf({ workloads, projects }: Principal): { ids?: string[]; projects?: string[] } {
  return {
    ...(workloads === null ? {} : { ids: [...workloads] }),
    ...(projects === null ? {} : { projects: [...projects] }),
  };
}
