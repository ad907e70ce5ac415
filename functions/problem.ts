/**
 * Errors as RFC 9457 problem details.
 *
 * Guarantees: every answer of status 400 and above from the API has this shape; what is not a RefloatError shows nothing of itself.
 */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ErrorCode, RefloatError } from '../db/errors.ts';

/** Statuses of the codes that requests meet; every other code is a defect here, or the database's absence. */
const STATUS: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  BAD_REQUEST: 400,
  HTTPS_REQUIRED: 400,
  UNAUTHENTICATED: 401,
  LINK_INVALID: 401,
  CHALLENGE_INVALID: 401,
  PASSKEY_INVALID: 401,
  OIDC_FAILED: 401,
  ENROLLMENT_INVALID: 401,
  FORBIDDEN: 403,
  FRESH_PROOF_REQUIRED: 403,
  NO_ROLE: 403,
  ORIGIN_MISMATCH: 403,
  NOT_FOUND: 404,
  WORKLOAD_NOT_FOUND: 404,
  CONTAINER_NOT_FOUND: 404,
  SNAPSHOT_NOT_FOUND: 404,
  INTENT_NOT_FOUND: 404,
  HOST_NOT_FOUND: 404,
  TOKEN_NOT_FOUND: 404,
  ISSUER_NOT_FOUND: 404,
  PASSKEY_NOT_FOUND: 404,
  NO_PASSKEY: 404,
  PERSON_NOT_FOUND: 404,
  SESSION_NOT_FOUND: 404,
  OIDC_NOT_CONFIGURED: 404,
  INTENT_UNDER_WAY: 409,
  WORKLOAD_STUCK: 409,
  NOT_UNDOABLE: 409,
  PAST_COMMIT_POINT: 409,
  ALREADY_FINISHED: 409,
  NAME_TAKEN: 409,
  CONTAINER_TAKEN: 409,
  HOST_REVOKED: 409,
  SNAPSHOT_PROTECTED: 409,
  PASSKEYS_UNAVAILABLE: 409,
  LAST_PASSKEY: 409,
  LAST_ADMIN: 409,
  CONFIRMATION_MISMATCH: 412,
  VERSION_CONFLICT: 412,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  VALIDATION_FAILED: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  SOURCE_NOT_IMAGE: 422,
  SCOPE_UNSUPPORTED: 422,
  SOURCE_INVALID: 422,
  SOURCE_OUTSIDE_ROOTS: 422,
  SOURCE_ESCAPES_BASE: 422,
  SOURCE_NOT_DIRECTORY: 422,
  SOURCE_MISSING: 422,
  NO_VOLUMES: 422,
  SNAPSHOT_DELETED: 422,
  KIND_NOT_ALLOWED: 422,
  TOKEN_TTL_TOO_LONG: 422,
  ISSUER_INVALID: 422,
  ISSUER_UNREACHABLE: 503,
  CONFIRMATION_MISSING: 428,
  RATE_LIMITED: 429,
  DATABASE_UNAVAILABLE: 503,
  OIDC_UNAVAILABLE: 503,
  CONFIG_INVALID: 503,
};

const TITLES: Partial<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function statusOf(code: ErrorCode): ContentfulStatusCode {
  return STATUS[code] ?? 500;
}

export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint: string;
  readonly instance?: string;
  readonly [more: string]: unknown;
}

/** @param requestId finds the request in log and audit */
export function problemOf(error: RefloatError, requestId: string): Problem {
  const status = statusOf(error.code);
  return {
    ...error.details,
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    code: error.code,
    detail: error.code === 'INTERNAL' ? 'something went wrong that should not' : error.message,
    hint:
      error.code === 'INTERNAL' ? `This is a defect. Please report it with the request id ${requestId}.` : error.hint,
    instance: `urn:uuid:${requestId}`,
  };
}
