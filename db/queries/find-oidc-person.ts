import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { oidcIdentities } from '../schema/oidc-identities.ts';
import { people } from '../schema/people.ts';
import type { PersonRow } from './insert-person.ts';

/** Whom an issuer's subject is here; null if they never signed in. */
export async function findOidcPerson(db: Queryable, issuer: string, subject: string): Promise<PersonRow | null> {
  const rows = await db
    .select({ person: people })
    .from(oidcIdentities)
    .innerJoin(people, eq(people.id, oidcIdentities.personId))
    .where(and(eq(oidcIdentities.issuer, issuer), eq(oidcIdentities.subject, subject)));
  return rows[0]?.person ?? null;
}
