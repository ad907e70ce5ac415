import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';
import type { Queryable } from '../client.ts';
import type { Role } from '../roles.ts';
import { people } from '../schema/people.ts';
import { type ProofKind, sessions } from '../schema/sessions.ts';

export interface SessionFacts {
  readonly id: string;
  readonly jti: string;
  readonly previousJti: string | null;
  readonly expiresAt: Date;
  readonly proofKind: ProofKind;
  readonly proofAt: Date | null;
  /** Seconds since the proof, by the database's clock; null without one. */
  readonly proofAgeSeconds: number | null;
  /** Seconds since the present `jti` was issued, and since it was first used (null: not yet). */
  readonly rotatedSeconds: number;
  readonly confirmedSeconds: number | null;
  readonly personId: string;
  readonly name: string;
  readonly role: Role;
  readonly projects: string[] | null;
  readonly managedBy: 'admin' | 'oidc';
}

/** Null for no moment. postgres.js gives float8 as a number, also without its types fetched. */
const secondsSince = <T extends number | null>(moment: AnyPgColumn) =>
  sql<T>`extract(epoch from now() - ${moment})::float8`;

/** The session and its person, if it still counts: not revoked, not over by the database's clock, the person not disabled. */
export async function findSession(db: Queryable, id: string): Promise<SessionFacts | null> {
  const rows = await db
    .select({
      id: sessions.id,
      jti: sessions.jti,
      previousJti: sessions.previousJti,
      expiresAt: sessions.expiresAt,
      proofKind: sessions.proofKind,
      proofAt: sessions.proofAt,
      proofAgeSeconds: secondsSince<number | null>(sessions.proofAt),
      rotatedSeconds: secondsSince<number>(sessions.rotatedAt),
      confirmedSeconds: secondsSince<number | null>(sessions.confirmedAt),
      personId: people.id,
      name: people.name,
      role: people.role,
      projects: people.projects,
      managedBy: people.managedBy,
    })
    .from(sessions)
    .innerJoin(people, eq(people.id, sessions.personId))
    .where(
      and(
        eq(sessions.id, id),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, sql`now()`),
        isNull(people.disabledAt),
      ),
    );
  return rows[0] ?? null;
}
