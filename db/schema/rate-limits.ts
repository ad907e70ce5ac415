import { bigint, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

/** How much of each limit is used (GCRA). A row whose `fullAt` is past means nothing and may go. */
export const rateLimits = pgTable('rate_limits', {
  /** Class and whose: `read:token:<jti>`, `sign-in:address:<ip>`. */
  key: text('key').primaryKey(),
  /** When everything that was taken is given back. */
  fullAt: timestamp('full_at', { withTimezone: true }).notNull(),
  /** Permits of the last request for them; 0 if it was refused. */
  granted: integer('granted').notNull(),
  /** Requests refused since the last one that was granted. */
  refused: bigint('refused', { mode: 'number' }).notNull().default(0),
});
