import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

/** A machine with a Docker engine and one agent. */
export const hosts = pgTable('hosts', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** Postgres login of this host's agent; row-level security is keyed on it. Null until enrolled. */
  pgRole: text('pg_role').unique(),
  /** Made anew at each start of an agent; together with the boot id it tells two live agents apart. */
  agentInstance: uuid('agent_instance'),
  agentBootId: text('agent_boot_id'),
  agentVersion: text('agent_version'),
  engineVersion: text('engine_version'),
  agentSeenAt: timestamp('agent_seen_at', { withTimezone: true }),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  revokedAt: timestamp('revoked_at', { withTimezone: true }),
});
