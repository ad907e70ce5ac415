/**
 * What every request goes through: a request id, a database, the limit of bodies, security headers; and every error on its
 * way out, as a problem and in the audit.
 */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { databaseErrorFacts, violates } from '../db/database-error.ts';
import { RefloatError, toRefloatError } from '../db/errors.ts';
import { newId } from '../db/ids.ts';
import { insertAudit } from '../db/queries/insert-audit.ts';
import { storable } from '../db/storable.ts';
import { isHttps } from './auth/origin.ts';
import { writeSessionCookie } from './auth/session.ts';
import type { AppContext, AppDeps, AppEnv } from './deps.ts';
import { problemOf, statusOf } from './problem.ts';
import { RateLimiter } from './rate-limits.ts';
import { declaredBytes } from './request-body.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_DISCARDED_BYTES = 8 * MAX_BODY_BYTES;
const HSTS_SECONDS = 365 * 86_400;
/** SQLSTATE of texts and moments that are none: what a request says and no schema has caught. */
const UNREADABLE: ReadonlySet<string> = new Set(['22007', '22008', '22009', '22021', '22P02', '22P05']);
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function addMiddleware(app: OpenAPIHono<AppEnv>, deps: AppDeps): void {
  const limiter = new RateLimiter(deps.rateLimits, deps.now);
  app.use(async (c, next) => {
    const { db, release } = deps.database.acquire(c);
    c.set('db', db);
    c.set('limit', (limit, whose) => limiter.take(db, limit, whose));
    c.set('requestId', newId());
    c.set('action', `${c.req.method} ${c.req.path}`);
    try {
      await next();
    } finally {
      setHeaders(c, deps);
      const session = c.get('newSession');
      if (session !== undefined) writeSessionCookie(c, deps, session);
      logRequest(c, deps);
      deps.afterResponse(c, release());
    }
  });
  const tooLarge = async (c: AppContext): Promise<never> => {
    await discard(c.req.raw.body);
    await limitStranger(c, deps);
    throw new RefloatError('BODY_TOO_LARGE', `a body may have at most ${MAX_BODY_BYTES} bytes`, { hint: 'Send less.' });
  };
  const limitBody = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge });
  app.use((c, next) => {
    const bytes = READS.has(c.req.method) ? 0 : declaredBytes(c);
    if (bytes === undefined) return limitBody(c, next);
    return bytes <= MAX_BODY_BYTES ? next() : tooLarge(c);
  });
  app.notFound(async (c) => {
    await limitStranger(c, deps);
    throw new RefloatError('NOT_FOUND', `there is nothing at ${c.req.path}`, { hint: 'See /docs for what there is.' });
  });
  app.onError((thrown, c) => refuse(c, deps, asRefloatError(thrown)));
}

/** Of what is refused before anybody asks who it is, each refusal would be a row of the audit. */
async function limitStranger(c: AppContext, deps: AppDeps): Promise<void> {
  if (isAudited(c, 404)) await c.get('limit')('refused', `address:${deps.clientAddress(c)}`);
}

/** Reads on for a while: a client that still sends when the connection is closed would never see why. */
async function discard(body: ReadableStream<Uint8Array> | null): Promise<void> {
  let left = MAX_DISCARDED_BYTES;
  try {
    for await (const chunk of body ?? []) {
      left -= chunk.byteLength;
      if (left < 0) return;
    }
  } catch {
    // The client gave up first.
  }
}

/** Every change and every failure; what only reads at level debug. Paths hold ids, never secrets: those travel in headers and bodies. */
function logRequest(c: AppContext, deps: AppDeps): void {
  const { status } = c.res;
  const reads = READS.has(c.req.method);
  deps.log(reads && status < 500 ? 'debug' : 'info', 'request', {
    requestId: c.get('requestId'),
    method: c.req.method,
    path: c.req.path.slice(0, 200),
    action: c.get('action').slice(0, 200),
    status,
    actor: c.get('principal')?.subject,
  });
}

/** On the answer itself: `c.header` would copy it for each header that comes after it. */
function setHeaders(c: AppContext, deps: AppDeps): void {
  const { headers } = c.res;
  const set = (name: string, value: string): void => {
    if (!headers.has(name)) headers.set(name, value);
  };
  set('x-request-id', c.get('requestId'));
  set('x-content-type-options', 'nosniff');
  set('x-frame-options', 'DENY');
  set('referrer-policy', 'no-referrer');
  set('cross-origin-resource-policy', 'same-origin');
  if (isHttps(c, deps)) set('strict-transport-security', `max-age=${HSTS_SECONDS}`);
  if (c.req.path.startsWith('/api/')) set('cache-control', 'no-store');
  if (!(headers.get('content-type') ?? '').startsWith('text/html'))
    set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}

function asRefloatError(thrown: unknown): RefloatError {
  if (thrown instanceof HTTPException)
    return new RefloatError('BAD_REQUEST', 'the request is not valid', { hint: 'See /docs.' });
  if (violates(thrown, 'workloads_name_key')) {
    return new RefloatError('NAME_TAKEN', 'another workload took this name at the same moment', {
      hint: 'Choose another name.',
    });
  }
  const facts = databaseErrorFacts(thrown);
  if (facts?.constraint === 'intents_host_not_revoked') {
    return new RefloatError('HOST_REVOKED', 'the host of this workload was revoked', {
      hint: 'Create the workload on another host; its snapshots lie on the machine that was revoked.',
    });
  }
  if (facts?.code === '42501') {
    return new RefloatError('CONFIG_INVALID', 'the database login of this server lacks a right', {
      hint: 'It must own the tables and may create roles: alter role … createrole, and grant refloat_agent to … with admin option.',
    });
  }
  if (facts !== undefined && UNREADABLE.has(facts.code)) {
    return new RefloatError('VALIDATION_FAILED', `the database cannot read a value of this request (${facts.code})`, {
      hint: 'Check dates and special characters. A cursor must be one that an answer had.',
    });
  }
  return toRefloatError(thrown);
}

async function refuse(c: AppContext, deps: AppDeps, error: RefloatError): Promise<Response> {
  const status = statusOf(error.code);
  if (status >= 500) {
    deps.log('error', error.message, {
      code: error.code,
      requestId: c.get('requestId'),
      action: c.get('action'),
      stack: stackOf(error),
    });
  }
  await auditRefusal(c, deps, error, status);
  c.header('content-type', 'application/problem+json');
  if (status === 401) c.header('www-authenticate', 'Bearer realm="refloat"');
  if (status === 503) c.header('retry-after', '5');
  if (status === 429) c.header('retry-after', String(error.details?.['retryAfterSeconds'] ?? 1));
  return c.body(JSON.stringify(problemOf(error, c.get('requestId'))), status);
}

/** Only where the error is ours: a database error's stack begins with its message, which may hold parameters. */
function stackOf(error: RefloatError): string | undefined {
  const { cause } = error;
  return cause instanceof Error && databaseErrorFacts(cause) === undefined ? cause.stack : undefined;
}

/** Every refusal of a change, and every request without the right to it. Questions that miss are not worth a row. */
function isAudited(c: AppContext, status: number): boolean {
  return c.req.path.startsWith('/api/') && (!READS.has(c.req.method) || status === 401 || status === 403);
}

async function auditRefusal(c: AppContext, deps: AppDeps, error: RefloatError, status: number): Promise<void> {
  if (c.get('audited') || error.code === 'DATABASE_UNAVAILABLE') return;
  // A flood must not fill the audit: the first refusal of a series stands for the others.
  if (error.code === 'RATE_LIMITED' && error.details?.['inARow'] !== 1) return;
  if (!isAudited(c, status)) return;
  try {
    await insertAudit(c.get('db'), {
      actor: c.get('principal')?.actor ?? 'anonymous',
      action: storable(c.get('action').slice(0, 200)),
      target: storable(c.req.path.slice(0, 200)),
      outcome: 'refused',
      code: error.code,
      requestId: c.get('requestId'),
    });
  } catch (failure) {
    deps.log('error', 'a refusal could not be written to the audit', {
      code: toRefloatError(failure).code,
      requestId: c.get('requestId'),
    });
  }
}
