/**
 * Every error that a person or a script can meet, with a stable code.
 *
 * Guarantees: an error survives a round trip through JSON (the journal and the database keep errors).
 * Does not guarantee: that `cause` survives it; only its message does.
 */

import { databaseErrorFacts } from './database-error.ts';

/** What whoever meets the error should do: try again, give up because the request is refused, or call a person. */
export type Disposition = 'retry' | 'refuse' | 'fail' | 'stuck';

/** Stable codes, upper snake. Adding one is fine; changing the meaning of one is a breaking change. */
export type ErrorCode =
  // requests
  | 'BAD_REQUEST'
  | 'VALIDATION_FAILED'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'WORKLOAD_NOT_FOUND'
  | 'SNAPSHOT_NOT_FOUND'
  | 'INTENT_NOT_FOUND'
  | 'HOST_NOT_FOUND'
  | 'TOKEN_NOT_FOUND'
  | 'TOKEN_TTL_TOO_LONG'
  | 'ISSUER_NOT_FOUND'
  | 'ISSUER_INVALID'
  | 'ISSUER_UNREACHABLE'
  | 'CONFIRMATION_MISSING'
  | 'CONFIRMATION_MISMATCH'
  | 'INTENT_UNDER_WAY'
  | 'NOT_UNDOABLE'
  | 'PAST_COMMIT_POINT'
  | 'ALREADY_FINISHED'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'NAME_TAKEN'
  | 'VERSION_CONFLICT'
  | 'SNAPSHOT_PROTECTED'
  | 'ORIGIN_MISMATCH'
  | 'LINK_INVALID'
  | 'FRESH_PROOF_REQUIRED'
  | 'CHALLENGE_INVALID'
  | 'PASSKEY_INVALID'
  | 'PASSKEY_NOT_FOUND'
  | 'NO_PASSKEY'
  | 'PASSKEYS_UNAVAILABLE'
  | 'LAST_PASSKEY'
  | 'OIDC_FAILED'
  | 'OIDC_UNAVAILABLE'
  | 'OIDC_NOT_CONFIGURED'
  | 'NO_ROLE'
  | 'PERSON_NOT_FOUND'
  | 'SESSION_NOT_FOUND'
  | 'LAST_ADMIN'
  | 'ENROLLMENT_INVALID'
  | 'RATE_LIMITED'
  | 'INTERNAL'
  | 'BODY_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'HTTPS_REQUIRED'
  | 'SNAPSHOT_DELETED'
  // workload configuration
  | 'SOURCE_NOT_IMAGE'
  | 'SCOPE_UNSUPPORTED'
  | 'SOURCE_INVALID'
  | 'SOURCE_OUTSIDE_ROOTS'
  | 'SOURCE_ESCAPES_BASE'
  | 'SOURCE_NOT_DIRECTORY'
  | 'SOURCE_MISSING'
  | 'VOLUME_IS_MOUNT_POINT'
  | 'VOLUMES_OVERLAP'
  | 'VOLUME_SHARED'
  | 'VOLUME_NOT_IN_SNAPSHOT'
  | 'NO_VOLUMES'
  | 'CONTAINER_NOT_FOUND'
  | 'CONTAINER_TAKEN'
  | 'ADOPTED_INCOMPLETE'
  | 'WORKLOAD_BUSY'
  | 'WORKLOAD_STUCK'
  | 'KIND_NOT_ALLOWED'
  // snapshots and archives
  | 'MANIFEST_MISSING'
  | 'MANIFEST_CHANGED'
  | 'MANIFEST_INVALID'
  | 'ARCHIVE_MISSING'
  | 'ARCHIVE_CHANGED'
  | 'ARCHIVE_REFUSED'
  | 'ARCHIVE_TRUNCATED'
  | 'ARCHIVE_LIMIT'
  | 'ARCHIVE_CORRUPT'
  | 'DESTINATION_EXISTS'
  | 'VOLUME_UNKNOWN'
  | 'IMPORT_AMBIGUOUS'
  | 'IMPORT_NOT_ALLOWED'
  | 'RESTORE_DIFFERS'
  // host
  | 'ENGINE_UNAVAILABLE'
  | 'ENGINE_FAILED'
  | 'ENGINE_TIMEOUT'
  | 'IMAGE_GONE'
  | 'CONTAINER_FAILED'
  | 'HOOK_FAILED'
  | 'DISK_FULL'
  | 'INODES_FULL'
  | 'UNHEALTHY'
  | 'OUTSIDER'
  | 'FILE_SYSTEM_FAILED'
  | 'FSYNC_FAILED'
  | 'JOURNAL_DAMAGED'
  | 'STATE_UNDECIDABLE'
  | 'PREVIOUS_GONE'
  | 'AGENT_RUNNING'
  | 'NOT_ENROLLED'
  | 'HOST_REVOKED'
  | 'LIMIT_EXCEEDED'
  | 'CANCELLED'
  | 'INTERRUPTED'
  | 'RESOLVED'
  | 'EXPIRED'
  // database
  | 'DATABASE_UNAVAILABLE'
  | 'LEASE_LOST'
  | 'MIGRATION_CHANGED'
  | 'API_UNREACHABLE'
  | 'CONFIG_INVALID'
  | 'USAGE';

/** How an error looks in JSON: in problem details, journal records, results and command output. */
export interface ErrorJson {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly disposition: Disposition;
  /** Further facts by name, for example `entry`, `volume`, `step`, `intentId`. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly causeMessage?: string;
}

export interface RefloatErrorOptions {
  /** What the person should do about it. */
  readonly hint: string;
  readonly disposition?: Disposition;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class RefloatError extends Error {
  override readonly name = 'RefloatError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly disposition: Disposition;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: RefloatErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.disposition = options.disposition ?? 'refuse';
    this.details = options.details;
  }

  toJSON(): ErrorJson {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      disposition: this.disposition,
      ...(this.details === undefined ? {} : { details: this.details }),
      ...(this.cause === undefined
        ? {}
        : { causeMessage: this.cause instanceof Error ? this.cause.message : String(this.cause) }),
    };
  }

  static fromJSON(json: ErrorJson): RefloatError {
    return new RefloatError(json.code, json.message, {
      hint: json.hint,
      disposition: json.disposition,
      ...(json.details === undefined ? {} : { details: json.details }),
      ...(json.causeMessage === undefined ? {} : { cause: new Error(json.causeMessage) }),
    });
  }
}

/** Any thrown value as a RefloatError; what is not one becomes `INTERNAL` with disposition `fail`. */
export function toRefloatError(thrown: unknown): RefloatError {
  if (thrown instanceof RefloatError) return thrown;
  const database = databaseErrorFacts(thrown);
  if (database !== undefined) {
    // The cause is dropped: it holds the statement's parameters.
    return database.unavailable
      ? new RefloatError('DATABASE_UNAVAILABLE', database.message, {
          hint: 'Check that PostgreSQL runs and can be reached from here.',
          disposition: 'retry',
        })
      : new RefloatError('INTERNAL', database.message, {
          hint: 'This is a defect. Please report it with the log of this moment.',
          disposition: 'fail',
        });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new RefloatError('INTERNAL', message, {
    hint: 'This is a defect. Please report it with the log of this moment.',
    disposition: 'fail',
    cause: thrown,
  });
}
