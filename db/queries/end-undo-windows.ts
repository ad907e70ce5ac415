import { and, eq, lt, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';

/** Snapshots whose undo window is over lose their protection, and can be deleted; their ids. */
export async function endUndoWindows(db: Queryable): Promise<string[]> {
  const rows = await db
    .update(snapshots)
    .set({ protectedUntil: null })
    .where(and(eq(snapshots.state, 'complete'), lt(snapshots.protectedUntil, sql`now()`)))
    .returning({ id: snapshots.id });
  return rows.map((row) => row.id);
}
