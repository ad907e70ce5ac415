/** What the API answers about people, as wire.ts does about workloads. Times are RFC 3339 in UTC. */
import { z } from '@hono/zod-openapi';
import type { PasskeyRow } from '../db/queries/insert-passkey.ts';
import type { ListedPerson } from '../db/queries/list-people.ts';
import type { SessionRow } from '../db/queries/list-sessions.ts';
import { ROLES } from '../db/roles.ts';

const TIME = z.iso.datetime();

/** Of a person or a passkey. */
export const NAME = z
  .string()
  .trim()
  .regex(/^[^\p{Cc}\p{Cf}]{1,100}$/u, 'must be 1 to 100 printable characters');

export const PROJECTS = z
  .array(z.string().min(1).max(100))
  .min(1)
  .max(100)
  .nullable()
  .describe('Names of the projects that the role is limited to; null: no limit');

export const PASSKEY_ID = z.string().regex(/^[\w-]{1,1400}$/);

export const RETURN_TO = z
  .string()
  .regex(/^\/(account|people)?(#[^\s\\]*)?$/)
  .max(300)
  .default('/')
  .describe('Page of the console to come back to');

export const PASSKEY = z
  .object({
    id: z.string(),
    name: z.string(),
    backedUp: z.boolean().describe('Kept by its provider, and so on other devices of yours'),
    createdAt: TIME,
    lastUsedAt: TIME.nullable(),
  })
  .openapi('Passkey');

export function passkeyAnswer(row: PasskeyRow): z.output<typeof PASSKEY> {
  const { id, name, backedUp, createdAt, lastUsedAt } = row;
  return { id, name, backedUp, createdAt: createdAt.toISOString(), lastUsedAt: lastUsedAt?.toISOString() ?? null };
}

export const LISTED_SESSION = z
  .object({
    id: z.uuid(),
    current: z.boolean().describe('The one that asks'),
    userAgent: z.string(),
    proof: z.enum(['link', 'passkey', 'oidc']).describe('The last proof'),
    createdAt: TIME,
    lastSeenAt: TIME.describe('To within five minutes'),
    expiresAt: TIME,
  })
  .openapi('ListedSession');

export function listedSessionAnswer(row: SessionRow, currentId: string): z.output<typeof LISTED_SESSION> {
  return {
    id: row.id,
    current: row.id === currentId,
    userAgent: row.userAgent,
    proof: row.proofKind,
    createdAt: row.createdAt.toISOString(),
    lastSeenAt: row.lastSeenAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
  };
}

export const PERSON = z
  .object({
    id: z.uuid(),
    name: z.string(),
    role: z.enum(ROLES),
    projects: PROJECTS,
    managedBy: z.enum(['admin', 'oidc']).describe('oidc: role and projects follow the claims of the issuer'),
    passkeys: z.int(),
    createdBy: z.string(),
    createdAt: TIME,
    lastSeenAt: TIME.nullable(),
    disabledAt: TIME.nullable(),
  })
  .openapi('Person');

export function personAnswer(row: Omit<ListedPerson, 'key'>): z.output<typeof PERSON> {
  const { id, name, role, projects, managedBy, passkeys, createdBy, createdAt, lastSeenAt, disabledAt } = row;
  return {
    ...{ id, name, role, projects, managedBy, passkeys, createdBy },
    createdAt: createdAt.toISOString(),
    lastSeenAt: lastSeenAt?.toISOString() ?? null,
    disabledAt: disabledAt?.toISOString() ?? null,
  };
}

export const INVITED = PERSON.extend({
  signInLink: z.string().describe('Works once, for an hour'),
  linkExpiresAt: TIME,
}).openapi('InvitedPerson');
