import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { idempotencyKeys } from '../schema/idempotency-keys.ts';

/** Keeps the first answer, in the transaction that claimed the key. */
export async function storeIdempotentAnswer(
  db: Queryable,
  actor: string,
  key: string,
  answer: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown },
): Promise<void> {
  await db
    .update(idempotencyKeys)
    .set(answer)
    .where(and(eq(idempotencyKeys.actor, actor), eq(idempotencyKeys.key, key)));
}
