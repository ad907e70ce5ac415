import { bigint, integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { ImportParams } from '../import-params.ts';
import type { IntentKind, IntentState } from '../intent-state.ts';
import type { IntentResult, Outcome, Progress } from '../results.ts';
import { hosts } from './hosts.ts';
import { workloads } from './workloads.ts';

/** What an intent asks for beyond its kind. */
export interface IntentParams {
  /** deploy: an image reference that replaces the configured one for this deploy. */
  readonly reference?: string;
  /** import: archives in the host's own import directory, and how they are read. */
  readonly archives?: ImportParams['archives'];
  readonly policy?: ImportParams['policy'];
}

/** A row asking a host to do one thing. Its state is a cache of the host's journal. */
export const intents = pgTable('intents', {
  id: uuid('id').primaryKey(),
  kind: text('kind').$type<IntentKind>().notNull(),
  state: text('state').$type<IntentState>().notNull().default('pending'),
  workloadId: uuid('workload_id')
    .notNull()
    .references(() => workloads.id),
  /** Never changes, so that no other host can take the intent. */
  hostId: uuid('host_id')
    .notNull()
    .references(() => hosts.id),
  snapshotId: uuid('snapshot_id'),
  /** undo: the restore or undo that it takes back. */
  undoOf: uuid('undo_of'),
  params: jsonb('params').$type<IntentParams>().notNull().default({}),
  requestedBy: text('requested_by').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  /** After this moment the agent refuses to start it, or to pass its commit point. */
  notAfter: timestamp('not_after', { withTimezone: true }),
  cancelRequestedAt: timestamp('cancel_requested_at', { withTimezone: true }),
  /** Set by the agent right before the commit point; from then on a cancel is refused. */
  committedAt: timestamp('committed_at', { withTimezone: true }),
  claimedAt: timestamp('claimed_at', { withTimezone: true }),
  finishedAt: timestamp('finished_at', { withTimezone: true }),
  /** Grows with every claim; a write that carries an older one changes nothing. */
  leaseEpoch: bigint('lease_epoch', { mode: 'number' }).notNull().default(0),
  leaseUntil: timestamp('lease_until', { withTimezone: true }),
  /** The lease epoch whose end without renewal was reported to people. */
  leaseAlarmEpoch: bigint('lease_alarm_epoch', { mode: 'number' }),
  attempts: integer('attempts').notNull().default(0),
  step: text('step'),
  progress: jsonb('progress').$type<Progress>(),
  result: jsonb('result').$type<IntentResult>(),
  error: jsonb('error').$type<Outcome['error']>(),
});
