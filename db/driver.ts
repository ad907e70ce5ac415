/**
 * postgres.js as drizzle uses it.
 *
 * Guarantees: every statement is prepared, once for each connection, where the connection allows it: drizzle sends text, which
 * the driver prepares only where it is told to. What `runLast` is given is the last statement of its transaction; if it fails,
 * so does the transaction, and nothing of it stays.
 */
import type postgres from 'postgres';

type Parameters = postgres.ParameterOrJSON<never>[];
type Unsafe = (text: string, parameters?: Parameters) => postgres.PendingQuery<postgres.Row[]>;
type Statement = readonly [text: string, parameters: Parameters];

/** The part of the driver that drizzle calls. */
interface Driver {
  readonly options: postgres.Sql['options'];
  readonly unsafe: Unsafe;
  readonly begin?: <T>(work: (driver: Driver) => Promise<T>) => Promise<T>;
  readonly savepoint?: <T>(work: (driver: Driver) => Promise<T>) => Promise<T>;
  /** What goes with the commit; only in a transaction. */
  readonly last?: Statement[];
}

export function driverOf(sql: postgres.Sql): Driver {
  return {
    options: sql.options,
    unsafe: preparing(sql),
    begin: (work) => begin(sql, work),
  };
}

/**
 * Runs a statement as the last one of the transaction, sent together with the commit, so that what it locks is held for no
 * round trip. It has not run when this returns. Without a transaction it runs at once.
 * @param database drizzle's database or transaction on a `driverOf`
 */
export async function runLast(
  database: { readonly _: { readonly session: object } },
  text: string,
  parameters: readonly (string | null)[],
): Promise<void> {
  const { client } = database._.session as { readonly client: Driver };
  const statement: Statement = [text, [...parameters]];
  if (client.last === undefined) await client.unsafe(...statement);
  else client.last.push(statement);
}

/**
 * Runs a statement that is written out, on the database or in the transaction that it is given: building a text anew for each
 * transaction costs as much as running it. Timestamps come as text.
 * @param database drizzle's database or transaction on a `driverOf`
 */
export async function run<Row extends object>(
  database: { readonly _: { readonly session: object } },
  text: string,
  parameters: readonly (string | null)[],
): Promise<Row[]> {
  const { client } = database._.session as { readonly client: Driver };
  return (await client.unsafe(text, [...parameters])) as unknown as Row[];
}

async function begin<T>(sql: postgres.Sql, work: (driver: Driver) => Promise<T>): Promise<T> {
  const sent: Sent[] = [];
  const result = await sql.begin(async (transaction) => {
    const last: Statement[] = [];
    const unsafe = preparing(transaction);
    const done = await work({ options: sql.options, unsafe, savepoint: savepointOf(transaction, sql.options), last });
    for (const statement of last) sent.push(await handOver(unsafe(...statement)));
    return { done };
  });
  // Postgres answers the commit of a transaction in which a statement failed as if nothing were wrong, and keeps nothing of it.
  await Promise.all(sent.map(({ running }) => running));
  return (result as { done: T }).done;
}

interface Sent {
  readonly running: Promise<unknown>;
}

/** How often the driver is given a turn to take a query; it takes one. */
const TURNS = 8;

/** Resolves when the connection has the query, so that what is asked next, the commit, comes behind it; if need be, when it has run. */
async function handOver(query: postgres.PendingQuery<postgres.Row[]>): Promise<Sent> {
  const running = query.then(() => undefined);
  running.catch(() => undefined);
  for (let turn = 0; turn < TURNS; turn++) {
    await undefined;
    // Set by the connection that sends it.
    if ((query as unknown as { readonly state: unknown }).state !== null) return { running };
  }
  await running;
  return { running };
}

function savepointOf(
  transaction: postgres.TransactionSql,
  options: Driver['options'],
): NonNullable<Driver['savepoint']> {
  return async (work) =>
    (await transaction.savepoint((inner) =>
      work({ options, unsafe: preparing(inner), savepoint: savepointOf(inner, options) }),
    )) as never;
}

function preparing(sql: postgres.ISql & { readonly unsafe: postgres.Sql['unsafe'] }): Unsafe {
  return (text, parameters = []) => sql.unsafe(text, parameters, { prepare: true });
}
