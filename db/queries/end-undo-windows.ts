import { and, eq, inArray, lt, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';

/** Snapshots whose undo window is over lose their protection, and can be deleted; their ids. Rows that somebody holds locked are left for later. */
export async function endUndoWindows(db: Queryable): Promise<string[]> {
  const over = db
    .select({ id: snapshots.id })
    .from(snapshots)
    .where(and(eq(snapshots.state, 'complete'), lt(snapshots.protectedUntil, sql`now()`)))
    .for('update', { skipLocked: true });
  const rows = await db
    .update(snapshots)
    .set({ protectedUntil: null })
    .where(inArray(snapshots.id, over))
    .returning({ id: snapshots.id });
  return rows.map((row) => row.id);
}
