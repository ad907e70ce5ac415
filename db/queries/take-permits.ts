import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

export interface Permits {
  /** 0: refused. */
  readonly granted: number;
  /** Requests refused in a row, this one included. */
  readonly refused: number;
  /** Until one more would be granted, in seconds; 0 or less: at once. */
  readonly waitSeconds: number;
}

/**
 * Takes up to `wanted` permits of a limit that gives `burst` at once and `perMinute` in the long run (GCRA).
 * One statement, so that any number of handlers share one limit; a refusal takes nothing.
 */
export async function takePermits(
  db: Queryable,
  key: string,
  limit: { readonly perMinute: number; readonly burst: number },
  wanted: number,
): Promise<Permits> {
  const seconds = 60 / limit.perMinute;
  const rows = await db.execute<Permits & Record<string, unknown>>(sql`
    insert into rate_limits as r (key, full_at, granted)
    values (${key}, now() + make_interval(secs => ${seconds}::float8 * ${Math.min(wanted, limit.burst)}::int), ${Math.min(wanted, limit.burst)}::int)
    on conflict (key) do update set (full_at, granted, refused) = (
      select greatest(r.full_at, now()) + make_interval(secs => ${seconds}::float8 * taken.n), taken.n,
        case taken.n when 0 then r.refused + 1 else 0 end
      from (select least(${wanted}::int, greatest(0, floor(${limit.burst}::int
        - extract(epoch from greatest(r.full_at - now(), interval '0'))::float8 / ${seconds}::float8 + 1e-6)))::int as n) taken)
    returning granted, refused::float8 as refused,
      extract(epoch from full_at - now())::float8 - ${limit.burst - 1}::int * ${seconds}::float8 as "waitSeconds"`);
  const row = rows[0];
  if (row === undefined) throw new Error('a limit answered nothing');
  return row;
}
