import { jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { IssuerRule } from '../issuer-rule.ts';

/** Whose JWTs are accepted besides our own: a CI system, for example. What they may do stands in the rules. */
export const issuers = pgTable('issuers', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** `iss` of its tokens, and the address of its discovery document. */
  issuer: text('issuer').notNull().unique(),
  /** `aud` that its tokens must have. */
  audience: text('audience').notNull(),
  algorithms: text('algorithms').array().notNull(),
  /** The first one whose conditions all hold decides. */
  rules: jsonb('rules').$type<readonly IssuerRule[]>().notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  jwks: jsonb('jwks').$type<{ readonly keys: readonly Readonly<Record<string, unknown>>[] }>(),
  jwksFetchedAt: timestamp('jwks_fetched_at', { withTimezone: true }),
  /** When somebody last set out to fetch it, with or without success: fetching cools down by this. */
  jwksTriedAt: timestamp('jwks_tried_at', { withTimezone: true }),
});
