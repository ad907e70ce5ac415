import { jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { ReportedConfiguration } from '../container-report.ts';
import { hosts } from './hosts.ts';

/** Inventory as the agent last reported it; a cache for people, never an input of a restore. */
export const containers = pgTable(
  'containers',
  {
    hostId: uuid('host_id')
      .notNull()
      .references(() => hosts.id),
    containerId: text('container_id').notNull(),
    workloadId: uuid('workload_id'),
    name: text('name').notNull(),
    image: text('image').notNull(),
    imageId: text('image_id').notNull(),
    state: text('state').notNull(),
    health: text('health'),
    restartPolicy: text('restart_policy').notNull(),
    startedAt: timestamp('started_at', { withTimezone: true }),
    /** Of containers that are no workload's yet. */
    configuration: jsonb('configuration').$type<ReportedConfiguration>(),
    reportedAt: timestamp('reported_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.hostId, table.containerId] })],
);
