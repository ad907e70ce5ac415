import { jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { SnapshotKind, SnapshotOrigin } from '../results.ts';
import { hosts } from './hosts.ts';
import { workloads } from './workloads.ts';

/** A durable, verified copy of all captured volumes of a workload at one moment. */
export const snapshots = pgTable('snapshots', {
  id: uuid('id').primaryKey(),
  workloadId: uuid('workload_id')
    .notNull()
    .references(() => workloads.id),
  hostId: uuid('host_id')
    .notNull()
    .references(() => hosts.id),
  /** The capture, restore or undo that made it. */
  intentId: uuid('intent_id').notNull(),
  kind: text('kind').$type<SnapshotKind>().notNull(),
  state: text('state').$type<'complete' | 'deleted'>().notNull().default('complete'),
  /** SHA-256 of manifest.json, hex. What the host's manifest is checked against before a restore. */
  manifestSha256: text('manifest_sha256').notNull(),
  image: text('image').notNull(),
  imageId: text('image_id').notNull(),
  capturedAt: timestamp('captured_at', { withTimezone: true }).notNull(),
  /** Until then it is the last copy of a previous state and cannot be deleted. */
  protectedUntil: timestamp('protected_until', { withTimezone: true }),
  /** Of an imported snapshot: which archives, whose decision, which policy. */
  origin: jsonb('origin').$type<SnapshotOrigin>(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  deletedAt: timestamp('deleted_at', { withTimezone: true }),
});
