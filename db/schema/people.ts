import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { Role } from '../roles.ts';

/** Who may sign in. A name is unique whatever its case, and never changes: the audit knows people by it. */
export const people = pgTable('people', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull(),
  role: text('role').$type<Role>().notNull(),
  /** Names of the projects that the role is limited to; null for no limit. */
  projects: text('projects').array(),
  /** `oidc`: role and projects follow the issuer's claims at each sign-in. */
  managedBy: text('managed_by').$type<'admin' | 'oidc'>().notNull().default('admin'),
  createdBy: text('created_by').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  disabledAt: timestamp('disabled_at', { withTimezone: true }),
});
