/**
 * What the API is measured against: a bare Hono route, one verification of a JWT by jose, and as many statements as the API's route
 * sends, as plain SQL through the same driver, to the same tables with the same triggers. No limits, no schema, no documents.
 *
 * Not in favour of the API: of a token that reads at a pace it asks for permits with one statement for about twenty reads, and the
 * bare route with none. Not in favour of the bare route: the API verifies a signature once and remembers it, the bare route each time;
 * hence the reads of which each shows another token (`?permit`), for which both verify and both take a permit.
 */
import { randomUUID } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { createLocalJWKSet, jwtVerify } from 'jose';
import postgres from 'postgres';

const sql = postgres(process.env['BENCH_DATABASE_URL'] ?? '', { max: 20, onnotice: () => undefined });
const keys = createLocalJWKSet(JSON.parse(process.env['BENCH_JWKS'] ?? ''));
const app = new Hono();

async function jtiOf(authorization: string | undefined): Promise<string> {
  const { payload } = await jwtVerify((authorization ?? '').slice(7), keys, { algorithms: ['EdDSA'] });
  return String(payload.jti);
}

const takePermit = (key: string) => sql`insert into rate_limits (key, full_at, granted) values (${key}, now(), 1)
  on conflict (key) do update set full_at = now() returning granted`;

/** Token, workload, containers: as GET /api/workloads/{id}. */
app.get('/api/workloads/:id', async (c) => {
  const jti = await jtiOf(c.req.header('authorization'));
  const [token] = await sql`select * from tokens where jti = ${jti} and revoked_at is null and expires_at > now()`;
  if (token === undefined) return c.json({}, 401);
  if (c.req.query('permit') !== undefined) await takePermit(`read:token:${jti}`);
  const [workload] = await sql`select * from workloads where id = ${c.req.param('id')}`;
  const containers = await sql`select * from containers where workload_id in (${c.req.param('id')}) order by name`;
  return c.json({ ...workload, containers });
});

/** As the restore call: token, workload, snapshot; then in a transaction the stuck intent, the intent, the audit row. */
app.post('/api/workloads/:id/snapshots/:sid/restore', async (c) => {
  const jti = await jtiOf(c.req.header('authorization'));
  const [token] = await sql`select * from tokens where jti = ${jti} and revoked_at is null and expires_at > now()`;
  if (token === undefined) return c.json({}, 401);
  const { id, sid } = c.req.param();
  const [workload] = await sql`select * from workloads where id = ${id}`;
  const [snapshot] = await sql`select * from snapshots where id = ${sid} and workload_id = ${id}`;
  if (workload === undefined || snapshot === undefined) return c.json({}, 404);
  for (const key of [`change:token:${jti}`, `workload:${id}`]) await takePermit(key);
  const intent = await sql.begin(async (tx) => {
    await tx`set local lock_timeout = '10s'`;
    await tx`select * from intents where workload_id = ${id} and state = 'stuck' limit 1`;
    const [row] = await tx`insert into intents (id, kind, workload_id, host_id, snapshot_id, params, requested_by)
      values (${randomUUID()}, 'restore', ${id}, ${workload['host_id']}, ${sid}, '{}', 'bare') returning *`;
    await tx`insert into audit (actor, action, target, outcome, details) values ('bare', 'restore', ${`intent:${row?.['id']}`}, 'accepted', '{}')`;
    return row;
  });
  return c.json(intent, 202);
});

serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
