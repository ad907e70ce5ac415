import { jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { sessions } from './sessions.ts';

export type ChallengePurpose = 'passkey-sign-in' | 'passkey-proof' | 'passkey-register' | 'oidc-sign-in' | 'oidc-proof';

/** What a sign-in under way must remember between two requests, whichever handler gets them. Used once: using it removes it. */
export const challenges = pgTable('challenges', {
  /** SHA-256 of the challenge, or of the `state` of an OIDC flow. */
  hash: text('hash').primaryKey(),
  purpose: text('purpose').$type<ChallengePurpose>().notNull(),
  /** The session that it was made for; null before there is one. */
  sessionId: uuid('session_id').references(() => sessions.id),
  facts: jsonb('facts').$type<Readonly<Record<string, string>>>().notNull().default({}),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
});
