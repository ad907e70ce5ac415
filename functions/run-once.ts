/**
 * A request that changes something, in one transaction with its audit row and its Idempotency-Key.
 *
 * Guarantees: the change, the audit row and the kept answer are there together or not at all; two requests with one key
 * change something once, and both get the first answer; the same key with another request is refused.
 */
import { sql } from 'drizzle-orm';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Queryable } from '../db/client.ts';
import { RefloatError } from '../db/errors.ts';
import { claimIdempotencyKey } from '../db/queries/claim-idempotency-key.ts';
import { insertAudit } from '../db/queries/insert-audit.ts';
import { storeIdempotentAnswer } from '../db/queries/store-idempotent-answer.ts';
import { sha256Hex } from './auth/secrets.ts';
import type { AppContext } from './deps.ts';
import { problemOf, statusOf } from './problem.ts';
import { bodyText } from './request-body.ts';

/** A row that a host's login holds locked must not hold our connections, too. */
const LOCK_TIMEOUT = sql`set local lock_timeout = '10s'`;

export interface Done {
  readonly status: 200 | 201 | 202 | 204;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** What was changed, as `kind:id`. */
  readonly target: string;
  /** Facts for the audit; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The answer holds a secret: it is not kept, so a repeated key is refused instead of answered. */
  readonly secret?: boolean;
}

/**
 * @param change does the work. A RefloatError that it returns is a refusal that the database's state decided: it is kept as
 *   the key's answer too. One that it throws leaves nothing behind, and the key free.
 */
export async function runOnce(
  c: AppContext,
  change: (db: Queryable) => Promise<Done | RefloatError>,
): Promise<Response> {
  const key = idempotencyKey(c);
  const actor = c.get('principal')?.actor ?? 'anonymous';
  const requestId = c.get('requestId');
  const hash = key === undefined ? '' : await sha256Hex(`${c.req.method}\n${c.req.path}\n${await bodyText(c)}`);
  const response = await c.get('db').transaction(async (tx) => {
    // Sent with the next statement. If it failed, so would that, and all that follows.
    void tx.execute(LOCK_TIMEOUT).catch(() => undefined);
    if (key !== undefined) {
      const earlier = await claimIdempotencyKey(tx, actor, key, hash);
      if (earlier !== null && earlier.requestHash !== hash) throw keyReused('was used for another request');
      if (earlier !== null && earlier.status === 0)
        throw keyReused('was used before, and its answer held a secret that is shown once');
      if (earlier !== null)
        return answer(earlier.status, { ...earlier.headers, 'idempotency-replayed': 'true' }, earlier.body);
    }
    const done = await change(tx);
    const status = done instanceof RefloatError ? statusOf(done.code) : done.status;
    const refused = done instanceof RefloatError;
    const headers: Record<string, string> = refused
      ? { 'content-type': 'application/problem+json' }
      : { ...done.headers };
    const body = refused ? problemOf(done, requestId) : (done.body ?? null);
    if (key !== undefined && (refused || done.secret !== true))
      await storeIdempotentAnswer(tx, actor, key, { status, headers, body });
    await insertAudit(tx, {
      actor,
      action: c.get('action'),
      target: refused ? c.req.path : done.target,
      outcome: refused ? 'refused' : 'accepted',
      requestId,
      ...(refused ? { code: done.code } : {}),
      ...(refused || done.details === undefined ? {} : { details: done.details }),
    });
    return answer(status, headers, body);
  });
  c.set('audited', true);
  return response;
}

function answer(status: number, headers: Readonly<Record<string, string>>, body: unknown): Response {
  if (status === 204) return new Response(null, { status, headers });
  return new Response(JSON.stringify(body), {
    status: status as ContentfulStatusCode,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

function idempotencyKey(c: AppContext): string | undefined {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return key;
  throw new RefloatError('BAD_REQUEST', 'the Idempotency-Key is not valid', {
    hint: 'Use 1 to 255 printable ASCII characters, for example a UUID.',
  });
}

function keyReused(why: string): RefloatError {
  return new RefloatError('IDEMPOTENCY_KEY_REUSED', `this Idempotency-Key ${why}`, {
    hint: 'Use a new key for each new request.',
  });
}
