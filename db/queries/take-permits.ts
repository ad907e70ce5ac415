import type { Queryable } from '../client.ts';
import { run } from '../driver.ts';

export interface Permits {
  /** 0: refused. */
  readonly granted: number;
  /** Requests refused in a row, this one included. */
  readonly refused: number;
  /** Until one more would be granted, in seconds; 0 or less: at once. */
  readonly waitSeconds: number;
}

/** $2 permits of which each takes $3 seconds of a limit of $4 at once; $5 is what a refusal counts. */
const TAKE = `
  insert into rate_limits as r (key, full_at, granted)
  values ($1, now() + make_interval(secs => $3::float8 * $2::int), $2::int)
  on conflict (key) do update set (full_at, granted, refused) = (
    select greatest(r.full_at, now()) + make_interval(secs => $3::float8 * taken.n), taken.n,
      case taken.n when 0 then r.refused + $5::int else 0 end
    from (select least($2::int, greatest(0, floor($4::int
      - extract(epoch from greatest(r.full_at - now(), interval '0'))::float8 / $3::float8 + 1e-6)))::int as n) taken)
  returning granted, refused::float8 as refused,
    extract(epoch from full_at - now())::float8 - ($4::int - 1) * $3::float8 as "waitSeconds"`;

/**
 * Takes up to `wanted` permits of a limit that gives `burst` at once and `perMinute` in the long run (GCRA).
 * One statement, so that any number of handlers share one limit; a refusal takes nothing.
 * @param asked false for permits in advance, which nobody is refused yet: their refusal is not counted
 */
export async function takePermits(
  db: Queryable,
  key: string,
  limit: { readonly perMinute: number; readonly burst: number },
  wanted: number,
  asked = true,
): Promise<Permits> {
  const permits = Math.min(wanted, limit.burst);
  const parameters = [key, `${permits}`, `${60 / limit.perMinute}`, `${limit.burst}`, asked ? '1' : '0'];
  const [row] = await run<Permits>(db, TAKE, parameters);
  if (row === undefined) throw new Error('a limit answered nothing');
  return row;
}
