/**
 * What may be said about an error of the database driver.
 *
 * Guarantees: neither a connection string nor a parameter of a statement is in what these functions return; drizzle's own
 * message holds all parameters, so it is never passed on.
 */

/** SQLSTATE classes and driver codes that mean "no database right now", as opposed to "the database said no". */
const UNAVAILABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  // cannot_connect_now, admin_shutdown, crash_shutdown, database_dropped, too_many_connections, wrong password, no such role or database
  '57P03',
  '57P01',
  '57P02',
  '57P04',
  '53300',
  '28P01',
  '28000',
  '3D000',
  // lock_not_available, query_canceled (a time-out), deadlock_detected, serialization_failure
  '55P03',
  '57014',
  '40P01',
  '40001',
  // read_only_sql_transaction (a standby, or a managed server whose disk is full), a prepared statement that a failover has forgotten
  '25006',
  '26000',
]);

/** Connection exceptions, insufficient resources (a full disk, no memory), errors of its system (I/O), and of itself. */
const UNAVAILABLE_CLASSES = new Set(['08', '53', '58', 'XX']);

const SQL_STATE = /^[0-9A-Z]{5}$/;
const DRIVER_CODE = /^CONNECT(ION_(CLOSED|ENDED|DESTROYED)|_TIMEOUT)$/;

export interface DatabaseErrorFacts {
  /** SQLSTATE, or the driver's code. */
  readonly code: string;
  readonly constraint: string | undefined;
  /** The database cannot be reached, or can do nothing now: the same statement may succeed later. */
  readonly unavailable: boolean;
  /** Safe to show. */
  readonly message: string;
}

/** The facts of a database error, however deep drizzle wrapped it; undefined for any other error. */
export function databaseErrorFacts(thrown: unknown): DatabaseErrorFacts | undefined {
  let error: unknown = thrown;
  let throughDriver = false;
  for (let depth = 0; depth < 8 && error instanceof Error; depth++) {
    if (error.name === 'PostgresError' || 'query' in error) throughDriver = true;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
    if (
      code !== undefined &&
      // Only the driver's own: a file that is missing is ENOENT, too, and none of our business.
      (throughDriver || DRIVER_CODE.test(code)) &&
      !('hint' in error && 'disposition' in error)
    ) {
      const constraint =
        'constraint_name' in error && typeof error.constraint_name === 'string' ? error.constraint_name : undefined;
      const unavailable = UNAVAILABLE.has(code) || (SQL_STATE.test(code) && UNAVAILABLE_CLASSES.has(code.slice(0, 2)));
      return {
        code,
        constraint,
        unavailable,
        message: unavailable
          ? `the database is not available (${code})`
          : `the database refused a statement (${code}${constraint === undefined ? '' : `, ${constraint}`})`,
      };
    }
    if (error instanceof AggregateError && error.errors.length > 0) error = error.errors[0];
    else error = error.cause;
  }
  if (!throughDriver) return undefined;
  return { code: 'UNKNOWN', constraint: undefined, unavailable: false, message: 'the database refused a statement' };
}

/** True when a statement failed on this unique constraint or index. */
export function violates(thrown: unknown, constraint: string): boolean {
  const facts = databaseErrorFacts(thrown);
  return facts?.code === '23505' && facts.constraint === constraint;
}
