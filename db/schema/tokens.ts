import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

/** Every JWT that the control plane minted; one that is not here, or revoked, is refused. The JWT itself is never stored. */
export const tokens = pgTable('tokens', {
  jti: uuid('jti').primaryKey(),
  kind: text('kind').$type<'automation' | 'session'>().notNull(),
  subject: text('subject').notNull(),
  scopes: text('scopes').array().notNull(),
  /** Ids of the workloads that it is limited to; null for no limit. */
  workloads: uuid('workloads').array(),
  /** Names of the projects that it is limited to; null for no limit. Of two limits both hold. */
  projects: text('projects').array(),
  createdBy: text('created_by').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  revokedAt: timestamp('revoked_at', { withTimezone: true }),
});
