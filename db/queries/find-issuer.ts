import { eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { issuers } from '../schema/issuers.ts';

export type IssuerRow = typeof issuers.$inferSelect;
export type IssuerFacts = IssuerRow & {
  /** Since its keys were fetched, by the database's clock; null if they never were. */
  readonly ageSeconds: number | null;
};

/** The trusted issuer whose tokens have this `iss`, to the letter. */
export async function findIssuer(db: Queryable, issuer: string): Promise<IssuerFacts | null> {
  const rows = await db
    .select({
      row: issuers,
      ageSeconds: sql<number | null>`extract(epoch from now() - ${issuers.jwksFetchedAt})::float8`,
    })
    .from(issuers)
    .where(eq(issuers.issuer, issuer));
  const [found] = rows;
  return found === undefined ? null : { ...found.row, ageSeconds: found.ageSeconds };
}
