import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';

/** The pre-restore snapshot that this restore or undo made, if it is still there. */
export async function findPreRestoreSnapshot(
  db: Queryable,
  intentId: string,
): Promise<typeof snapshots.$inferSelect | null> {
  const rows = await db
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.intentId, intentId), eq(snapshots.kind, 'pre-restore'), eq(snapshots.state, 'complete')))
    .limit(1);
  return rows[0] ?? null;
}
