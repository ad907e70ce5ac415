import { and, asc, eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { ALL, behind, type Seek } from '../page.ts';
import { people } from '../schema/people.ts';
import type { PersonRow } from './insert-person.ts';

export interface ListedPerson extends PersonRow {
  readonly passkeys: number;
  /** When one of their sessions was last seen; null: they never signed in. */
  readonly lastSeenAt: Date | null;
  /** Sort key. */
  readonly key: string;
}

/** By name, with how they sign in and when they last did; only the one with `id`, if given. */
export async function listPeople(db: Queryable, id?: string, seek: Seek = ALL): Promise<ListedPerson[]> {
  const key = sql<string>`lower(${people.name})`;
  const rows = await db
    .select({
      person: people,
      key,
      passkeys: sql<number>`(select count(*)::int from passkeys k where k.person_id = people.id)`,
      lastSeenAt: sql<
        string | null
      >`(select to_char(max(s.last_seen_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') from sessions s where s.person_id = people.id)`,
    })
    .from(people)
    .where(and(id === undefined ? undefined : eq(people.id, id), behind('ascending', key, people.id, seek)))
    .orderBy(asc(key), asc(people.id))
    .limit(seek.limit);
  return rows.map(({ person, key: sortKey, passkeys, lastSeenAt }) => ({
    ...person,
    key: sortKey,
    passkeys,
    lastSeenAt: lastSeenAt === null ? null : new Date(lastSeenAt),
  }));
}
