/**
 * Pages of lists: `?cursor=…&limit=…`, and `next` in the answer, which is null on the last page.
 *
 * Guarantees: with `next` as `cursor` until it is null a client gets every row that was there all the time, each once.
 * A cursor is opaque to clients, and says nothing that the row does not.
 */
import { base64url } from 'jose';
import { z } from 'zod';
import { RefloatError } from '../db/errors.ts';
import type { Seek } from '../db/page.ts';

const MAX_ROWS = 1000;

/** Of the query of a list. */
export const PAGE_QUERY = {
  cursor: z.string().min(1).max(2000).optional().describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(MAX_ROWS).default(MAX_ROWS),
};
/** Of the answer of a list. */
export const NEXT = z.string().nullable().describe('`cursor` of the next page; null on the last one');

/** As PostgreSQL writes a `timestamptz`. */
const MOMENT = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-](0\d|1[0-5])(:[0-5]\d){0,2}$/;
const KEYS = { text: z.string().regex(/^[^\0]*$/), moment: z.string().regex(MOMENT).refine(isOfCalendar) };
const IDS = { uuid: z.uuid(), text: z.string().regex(/^[^\0]*$/) };

export interface ListOrder {
  readonly key: keyof typeof KEYS;
  readonly id: keyof typeof IDS;
}

/** One row more than the page, so that it is known whether there is another page. Throws `VALIDATION_FAILED` for a cursor that no answer had. */
export function seekOf(
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
  order: ListOrder,
): Seek {
  if (cursor === undefined) return { limit: limit + 1 };
  try {
    const [key, id] = z
      .tuple([KEYS[order.key], IDS[order.id]])
      .parse(JSON.parse(new TextDecoder().decode(base64url.decode(cursor))));
    return { after: { key, id }, limit: limit + 1 };
  } catch {
    throw new RefloatError('VALIDATION_FAILED', 'cursor: not one of this list', {
      hint: 'Use "next" of the answer before, or begin without a cursor.',
      details: { errors: [{ path: 'cursor', message: 'not one of this list' }] },
    });
  }
}

/** @param rows as a query found them with `seekOf` */
export function pageOf<R>(
  rows: readonly R[],
  limit: number,
  keyOf: (row: R) => readonly [key: string, id: string],
): { readonly page: readonly R[]; readonly next: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    page,
    next: rows.length > page.length && last !== undefined ? base64url.encode(JSON.stringify(keyOf(last))) : null,
  };
}

/** Whether date and time of a `MOMENT` exist: PostgreSQL refuses a 30th of February, and a year 0. */
function isOfCalendar(moment: string): boolean {
  const [date = '', time = ''] = moment.slice(0, 19).split(' ');
  const found = new Date(`${date}T${time}Z`);
  return date >= '0001' && !Number.isNaN(found.getTime()) && found.toISOString().startsWith(`${date}T${time}`);
}
