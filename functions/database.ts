import type { Db } from '../db/client.ts';
import type { AppContext, AppDeps } from './deps.ts';

/** A client for one piece of work, for answers that outlast their request: on Workers a connection of its own, on Node one of the pool's. */
export async function withDatabase<T>(c: AppContext, deps: AppDeps, work: (db: Db) => Promise<T>): Promise<T> {
  const { db, release } = deps.database.acquire(c);
  try {
    return await work(db);
  } finally {
    await release();
  }
}
