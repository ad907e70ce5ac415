import { and, eq, lt, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { idempotencyKeys } from '../schema/idempotency-keys.ts';

export type IdempotencyRow = typeof idempotencyKeys.$inferSelect;

/**
 * Takes the key for this request, inside the transaction that does the work; or returns the answer that was given before.
 * Of two at once the second waits here until the first has committed or failed. A key is forgotten after a day.
 */
export async function claimIdempotencyKey(
  db: Queryable,
  actor: string,
  key: string,
  requestHash: string,
): Promise<IdempotencyRow | null> {
  await db
    .delete(idempotencyKeys)
    .where(
      and(
        eq(idempotencyKeys.actor, actor),
        eq(idempotencyKeys.key, key),
        lt(idempotencyKeys.createdAt, sql`now() - interval '1 day'`),
      ),
    );
  const taken = await db
    .insert(idempotencyKeys)
    .values({ actor, key, requestHash, status: 0, headers: {}, body: {} })
    .onConflictDoNothing()
    .returning({ key: idempotencyKeys.key });
  if (taken.length === 1) return null;
  const rows = await db
    .select()
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.actor, actor), eq(idempotencyKeys.key, key)));
  const row = rows[0];
  if (row === undefined) throw new Error('an idempotency key vanished between two statements');
  return row;
}
