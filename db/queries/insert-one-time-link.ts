import type { Queryable } from '../client.ts';
import { oneTimeLinks } from '../schema/one-time-links.ts';

export async function insertOneTimeLink(db: Queryable, link: typeof oneTimeLinks.$inferInsert): Promise<void> {
  await db.insert(oneTimeLinks).values(link);
}
