/**
 * The agent's side of Postgres, which may be away at any moment.
 *
 * Guarantees: every call ends within its time limit, even when the network swallows packets: then the connections are
 * replaced. What it throws is a RefloatError that holds neither the connection string nor parameters.
 */
import { type Connection, connect } from '../../db/client.ts';
import { databaseErrorFacts } from '../../db/database-error.ts';
import { RefloatError } from '../../db/errors.ts';
import type { AgentSql } from '../../db/queries/agent-statement.ts';
import { Backoff } from './backoff.ts';

const CALL_LIMIT_MS = 10_000;
const CONNECTIONS = 4;

export class AgentDatabase {
  readonly #url: string;
  readonly #callLimitMs: number;
  #connection: Connection;
  #closed = false;
  #prepares = false;

  constructor(url: string, callLimitMs = CALL_LIMIT_MS) {
    this.#url = url;
    this.#callLimitMs = callLimitMs;
    this.#connection = this.#connect();
  }

  /**
   * One try.
   * @throws RefloatError `DATABASE_UNAVAILABLE` (disposition `retry`), or `INTERNAL` when Postgres answered with an error
   */
  async attempt<T>(work: (sql: AgentSql) => Promise<T>, limitMs = this.#callLimitMs): Promise<T> {
    const connection = this.#connection;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('no answer in time')), limitMs);
    });
    try {
      return await Promise.race([work(connection.sql), late]);
    } catch (thrown) {
      const error = asRefloatError(thrown);
      if (error.details?.['reason'] === 'no answer in time') this.#replace(connection);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** As `attempt`, in one transaction. */
  async transaction<T>(work: (sql: AgentSql) => Promise<T>): Promise<T> {
    const sql = this.#connection.sql;
    return this.attempt(async () => (await sql.begin((transaction) => work(transaction))) as T);
  }

  /** Tries until Postgres answers; gives up only when `signal` is aborted, with its reason. Answers with an error are thrown. */
  async persist<T>(
    work: (sql: AgentSql) => Promise<T>,
    signal: AbortSignal,
    onAway?: (error: RefloatError) => void,
  ): Promise<T> {
    const backoff = new Backoff();
    for (;;) {
      try {
        return await this.attempt(work);
      } catch (thrown) {
        const error = asRefloatError(thrown);
        if (error.code !== 'DATABASE_UNAVAILABLE') throw error;
        onAway?.(error);
        await backoff.pause(signal);
        signal.throwIfAborted();
      }
    }
  }

  /**
   * Whether statements may be prepared: planning the claim takes longer than running it, but behind a pooler that lends a session to
   * one transaction after the other, a prepared statement is gone with the next one.
   */
  prepareStatements(wanted: boolean): void {
    if (wanted === this.#prepares || this.#closed) return;
    this.#prepares = wanted;
    const before = this.#connection;
    this.#connection = this.#connect();
    // What runs on the old one comes to its end.
    void endWithin(before.sql, this.#callLimitMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await endWithin(this.#connection.sql, 2000);
  }

  #connect(): Connection {
    return connect(this.#url, {
      max: CONNECTIONS,
      applicationName: 'refloat-agent',
      fetchTypes: false,
      prepare: this.#prepares,
      connectTimeoutSeconds: 5,
    });
  }

  #replace(connection: Connection): void {
    if (this.#connection !== connection || this.#closed) return;
    this.#connection = this.#connect();
    void endWithin(connection.sql, 0);
  }
}

/** Ends a client's connections. The driver's own `end` can wait for ever for one that it lost: it is not waited for. */
export async function endWithin(sql: { end(options: { timeout: number }): Promise<void> }, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms + 500);
  });
  await Promise.race([sql.end({ timeout: ms / 1000 }).catch(() => undefined), late]);
  clearTimeout(timer);
}

/** What a database error means to the agent. */
export function asRefloatError(thrown: unknown): RefloatError {
  if (thrown instanceof RefloatError) return thrown;
  const facts = databaseErrorFacts(thrown);
  if (facts?.unavailable === true) return unavailable(facts.code);
  return new RefloatError('INTERNAL', facts?.message ?? (thrown instanceof Error ? thrown.message : String(thrown)), {
    hint: 'This is a defect, or the database has another schema than this agent. Compare the versions of agent and control plane.',
    disposition: 'fail',
    details: { ...(facts === undefined ? {} : { sqlState: facts.code }) },
  });
}

function unavailable(reason: string): RefloatError {
  return new RefloatError('DATABASE_UNAVAILABLE', `the database is not available (${reason})`, {
    hint: 'The agent goes on and tries again. Look at the database, the network between, and the credentials of this host.',
    disposition: 'retry',
    details: { reason },
  });
}
