import type { Queryable } from '../client.ts';
import { run } from '../driver.ts';
import type { IntentRow } from './insert-intent.ts';

const SELECT = "select id, kind from intents where workload_id = $1 and state = 'stuck' limit 1";

/** An intent of this workload that waits for a person, or null. */
export async function findStuckIntent(
  db: Queryable,
  workloadId: string,
): Promise<Pick<IntentRow, 'id' | 'kind'> | null> {
  const rows = await run<Pick<IntentRow, 'id' | 'kind'>>(db, SELECT, [workloadId]);
  return rows[0] ?? null;
}
