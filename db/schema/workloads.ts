import { integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { WorkloadConfig } from '../workload.ts';
import { hosts } from './hosts.ts';

/** The desired configuration of a workload; `version` grows by one with each change. */
export const workloads = pgTable('workloads', {
  id: uuid('id').primaryKey(),
  hostId: uuid('host_id')
    .notNull()
    .references(() => hosts.id),
  name: text('name').notNull().unique(),
  project: text('project').notNull(),
  config: jsonb('config').$type<WorkloadConfig>().notNull(),
  version: integer('version').notNull().default(1),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
});
