import { bigint, boolean, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { people } from './people.ts';

/** WebAuthn credentials. Ids and public keys (COSE) are base64url, as browsers send them. */
export const passkeys = pgTable('passkeys', {
  id: text('id').primaryKey(),
  personId: uuid('person_id')
    .notNull()
    .references(() => people.id),
  name: text('name').notNull(),
  publicKey: text('public_key').notNull(),
  /** Signature counter; an authenticator that has one never goes back, a copied one may. */
  counter: bigint('counter', { mode: 'number' }).notNull(),
  transports: text('transports').array().notNull(),
  backedUp: boolean('backed_up').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  lastUsedAt: timestamp('last_used_at', { withTimezone: true }),
});
