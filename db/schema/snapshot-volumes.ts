import { bigint, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import { hosts } from './hosts.ts';
import { snapshots } from './snapshots.ts';

/** One archive of a snapshot. Sizes in bytes. */
export const snapshotVolumes = pgTable(
  'snapshot_volumes',
  {
    snapshotId: uuid('snapshot_id')
      .notNull()
      .references(() => snapshots.id),
    hostId: uuid('host_id')
      .notNull()
      .references(() => hosts.id),
    name: text('name').notNull(),
    scope: text('scope').notNull(),
    archiveSha256: text('archive_sha256').notNull(),
    archiveBytes: bigint('archive_bytes', { mode: 'number' }).notNull(),
    contentBytes: bigint('content_bytes', { mode: 'number' }).notNull(),
    entries: bigint('entries', { mode: 'number' }).notNull(),
    skipped: integer('skipped').notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.snapshotId, table.name] })],
);
