import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { hosts } from './hosts.ts';
import { people } from './people.ts';

/** Secrets that work once: a person's sign-in link, a host's enrollment token. Only their SHA-256 is stored. */
export const oneTimeLinks = pgTable('one_time_links', {
  hash: text('hash').primaryKey(),
  purpose: text('purpose').$type<'sign-in' | 'enrollment'>().notNull(),
  subject: text('subject').notNull(),
  hostId: uuid('host_id').references(() => hosts.id),
  /** Whom a sign-in link signs in. */
  personId: uuid('person_id').references(() => people.id),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  usedAt: timestamp('used_at', { withTimezone: true }),
});
