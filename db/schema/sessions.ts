import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { people } from './people.ts';

/** How a person proved to be who they say. */
export type ProofKind = 'link' | 'passkey' | 'oidc';

/** Signed-in browsers. The cookie's JWT names the session and its present `jti`, which changes while it is used. */
export const sessions = pgTable('sessions', {
  id: uuid('id').primaryKey(),
  personId: uuid('person_id')
    .notNull()
    .references(() => people.id),
  jti: uuid('jti').notNull(),
  /** The one before: still good until the browser has shown the present one, and shortly after. */
  previousJti: uuid('previous_jti'),
  rotatedAt: timestamp('rotated_at', { withTimezone: true }).notNull().defaultNow(),
  /** When the present `jti` was first used; null until then. */
  confirmedAt: timestamp('confirmed_at', { withTimezone: true }),
  proofKind: text('proof_kind').$type<ProofKind>().notNull(),
  /** Null if an issuer did not say when it asked the person. */
  proofAt: timestamp('proof_at', { withTimezone: true }),
  userAgent: text('user_agent').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  lastSeenAt: timestamp('last_seen_at', { withTimezone: true }).notNull().defaultNow(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  revokedAt: timestamp('revoked_at', { withTimezone: true }),
});
