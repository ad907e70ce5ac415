/**
 * The one way to a Postgres connection, for both sides.
 *
 * Guarantees: nothing is connected before the first statement; what `toRefloatError` makes of an error of this client holds
 * neither the connection string nor parameters.
 * Statements are prepared, once for each connection: planning one takes longer than running it. A pooler that lends a session to one
 * transaction after the other and knows nothing of prepared statements needs `?prepare=false` in its URL, or `prepare: false`.
 * Does not guarantee: date and JSON parsing on `sql`. Drizzle switches the driver's parsers off for its own, so raw statements
 * get timestamps as text.
 */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { driverOf } from './driver.ts';
import { RefloatError } from './errors.ts';
import * as schema from './schema/index.ts';

export type Db = PostgresJsDatabase<typeof schema>;
/** What a query takes: the database, or a transaction in it. */
export type Queryable = Db | Parameters<Parameters<Db['transaction']>[0]>[0];
export type Sql = postgres.Sql;

export interface ConnectOptions {
  /** Connections at most; 10 unless told. */
  readonly max?: number;
  /** Shown by pg_stat_activity. */
  readonly applicationName?: string;
  /** Off behind Hyperdrive: saves a round trip per connection. Then array columns must be cast by the statement. */
  readonly fetchTypes?: boolean;
  readonly connectTimeoutSeconds?: number;
  /** Idle connections are closed after this; never unless told. */
  readonly idleTimeoutSeconds?: number;
  /** Named prepared statements; off for clients that may sit behind a pooler in transaction mode. */
  readonly prepare?: boolean;
}

export interface Connection {
  readonly db: Db;
  readonly sql: Sql;
  /** Ends all connections, waiting at most 5 s for statements under way. */
  close(): Promise<void>;
}

/** Throws `CONFIG_INVALID` if `url` is not a Postgres URL; everything else shows at the first statement. */
export function connect(url: string, options: ConnectOptions = {}): Connection {
  let sql: Sql;
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new Error('not a postgres:// URL');
    sql = postgres(url, {
      max: options.max ?? 10,
      fetch_types: options.fetchTypes ?? true,
      connect_timeout: options.connectTimeoutSeconds ?? 10,
      ...(options.idleTimeoutSeconds === undefined ? {} : { idle_timeout: options.idleTimeoutSeconds }),
      // No other setting: poolers refuse them at the start of a session.
      connection: { application_name: options.applicationName ?? 'refloat' },
      ...(options.prepare === undefined ? {} : { prepare: options.prepare }),
      onnotice: () => undefined,
    });
  } catch {
    // The cause is dropped: its message may quote the URL, which holds a password.
    throw new RefloatError('CONFIG_INVALID', 'the database URL cannot be parsed', {
      hint: 'Give a URL of the form postgres://user:password@host:5432/database; percent-encode special characters.',
    });
  }
  return { db: drizzle(driverOf(sql) as unknown as Sql, { schema }), sql, close: () => sql.end({ timeout: 5 }) };
}

/**
 * A query that is built once for each database, and only run after that: building the text costs as much as running it. In a
 * transaction it is built anew.
 */
export function builtOnce<Q>(build: (db: Queryable) => Q): (db: Queryable) => Q {
  const built = new WeakMap<Queryable, Q>();
  return (db) => {
    const query = built.get(db) ?? build(db);
    built.set(db, query);
    return query;
  };
}
