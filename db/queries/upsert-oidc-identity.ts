import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { oidcIdentities } from '../schema/oidc-identities.ts';

/** Keeps whom an issuer's subject is; of one that is known, when it was last used. */
export async function upsertOidcIdentity(
  db: Queryable,
  identity: { readonly issuer: string; readonly subject: string; readonly personId: string },
): Promise<void> {
  await db
    .insert(oidcIdentities)
    .values(identity)
    .onConflictDoUpdate({
      target: [oidcIdentities.issuer, oidcIdentities.subject],
      set: { lastUsedAt: sql`now()` },
    });
}
