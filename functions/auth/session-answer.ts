/** What the API says of a session, the same after every way to sign in. */
import { z } from '@hono/zod-openapi';
import { ROLES } from '../../db/roles.ts';
import type { Principal } from './principal.ts';
import { FRESH_PROOF_SECONDS } from './session.ts';

const TIME = z.iso.datetime();

export const SESSION = z
  .object({
    subject: z.string(),
    kind: z.enum(['person', 'automation']),
    scopes: z.array(z.string()),
    workloads: z.array(z.uuid()).nullable().describe('Ids of the workloads that it is limited to; null: no limit'),
    projects: z.array(z.string()).nullable().describe('Names of the projects that it is limited to; null: no limit'),
    via: z.enum(['bearer', 'cookie']),
    expiresAt: TIME,
    person: z
      .object({
        id: z.uuid(),
        role: z.enum(ROLES),
        managedBy: z.enum(['admin', 'oidc']).describe('oidc: role and projects follow the claims of the issuer'),
        sessionId: z.uuid(),
        proof: z.object({
          kind: z.enum(['link', 'passkey', 'oidc']),
          at: TIME.nullable(),
          freshUntil: TIME.nullable().describe('Until then restores, undos and deletions ask for no other proof'),
        }),
      })
      .nullable()
      .describe('null for automation'),
  })
  .openapi('Session');

export function sessionAnswer(principal: Principal): z.output<typeof SESSION> {
  const { subject, kind, scopes, workloads, projects, expiresAt } = principal;
  return {
    subject,
    kind,
    scopes: [...scopes],
    workloads: workloads === null ? null : [...workloads],
    projects: projects === null ? null : [...projects],
    via: kind === 'person' ? 'cookie' : 'bearer',
    expiresAt: expiresAt.toISOString(),
    person: principal.kind === 'person' ? personAnswer(principal) : null,
  };
}

function personAnswer({
  personId: id,
  role,
  managedBy,
  sessionId,
  proof: { kind, at, fresh },
}: Extract<Principal, { kind: 'person' }>): NonNullable<z.output<typeof SESSION>['person']> {
  const freshUntil = fresh && at !== null ? new Date(at.getTime() + FRESH_PROOF_SECONDS * 1000).toISOString() : null;
  return { id, role, managedBy, sessionId, proof: { kind, at: at?.toISOString() ?? null, freshUntil } };
}
