import { bigint, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

/** Who did, or was refused, what. Rows are chained by hash: the trigger of migration 0001 fills `seq`, `prevHash` and `hash`. */
export const audit = pgTable('audit', {
  seq: bigint('seq', { mode: 'number' }).primaryKey(),
  at: timestamp('at', { withTimezone: true }).notNull().defaultNow(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  target: text('target').notNull(),
  outcome: text('outcome').$type<'accepted' | 'refused' | 'succeeded' | 'failed'>().notNull(),
  code: text('code'),
  details: jsonb('details').$type<Readonly<Record<string, unknown>>>().notNull().default({}),
  requestId: text('request_id'),
  prevHash: text('prev_hash').notNull(),
  hash: text('hash').notNull(),
});
