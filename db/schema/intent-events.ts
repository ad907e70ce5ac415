import { integer, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { IntentEvent } from '../results.ts';
import { hosts } from './hosts.ts';
import { intents } from './intents.ts';

/** The live progress of an intent, in order; `seq` is the server-sent event's id. */
export const intentEvents = pgTable(
  'intent_events',
  {
    intentId: uuid('intent_id')
      .notNull()
      .references(() => intents.id),
    hostId: uuid('host_id')
      .notNull()
      .references(() => hosts.id),
    seq: integer('seq').notNull(),
    at: timestamp('at', { withTimezone: true }).notNull(),
    type: text('type').$type<IntentEvent['type']>().notNull(),
    data: jsonb('data').$type<Readonly<Record<string, unknown>>>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.intentId, table.seq] })],
);
