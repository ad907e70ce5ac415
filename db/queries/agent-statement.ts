/** What the agent's statements share: the connection that they run on, and how long a lease lasts. */
import type postgres from 'postgres';

/** A connection, or a transaction on one. */
export type AgentSql = postgres.ISql;

/** How long a claim holds without being renewed, by the database's clock. */
export const LEASE_SECONDS = 60;

/** Right before the commit point at least this much of the lease must be left. */
export const COMMIT_MARGIN_SECONDS = 15;

/** Who writes: the intent, its host, and the epoch that fences older holders out. Every write of an agent carries it. */
export interface Holder {
  readonly intentId: string;
  readonly hostId: string;
  readonly leaseEpoch: number;
}

/**
 * A value as jsonb's input. Postgres refuses NUL and lone surrogates, which file names and programs' output can hold:
 * both are replaced, so that what a hostile name does can never keep an outcome from being delivered.
 */
export function jsonText(value: unknown): string {
  return (
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === 'string' ? member.replaceAll('\0', '\\u0000').toWellFormed() : member,
    ) ?? 'null'
  );
}

/**
 * A statement that is written out once, for `sql(statement, ...values)`: the driver puts a text of nested parts together anew for each
 * call, and the claim is waited for.
 * @param text with `?` for each value, and for nothing else
 */
export function written(text: string): TemplateStringsArray {
  const strings = text.split('?');
  return Object.assign(strings, { raw: strings });
}
