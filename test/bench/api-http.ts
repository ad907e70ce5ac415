/** Requests per second and p99 of the API, pairwise with the bare route in the same run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import autocannon from 'autocannon';
import { eq } from 'drizzle-orm';
import { intents } from '../../db/schema/index.ts';
import { readKeySet } from '../../functions/auth/key-set.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  controlPlaneEnv,
  mint,
} from '../helpers/control-plane.ts';
import type { TestDatabase } from '../helpers/postgres.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const CONNECTIONS = 10;
/** Workloads to restore in turns: each request needs one without an intent under way. */
const WORKLOADS = 20_000;
/** More than the API remembers, so that none is there any more when its turn comes again. */
const TOKENS = 1500;
const UNLIMITED = ['read', 'change', 'workload'].map((name) => `${name}=1000000000:1000000000`).join(',');

interface Figures {
  readonly perSecond: number;
  readonly p99Ms: number;
}
export interface HttpRow {
  readonly name: string;
  readonly pairs: readonly { readonly api: Figures; readonly bare: Figures }[];
}

interface Target {
  readonly url: string;
  readonly token: string;
  readonly tokens: readonly string[];
  readonly restores: readonly { readonly path: string; readonly name: string }[];
}

export async function measureHttp(database: TestDatabase, pairs: number, seconds: number): Promise<HttpRow[]> {
  const env = await controlPlaneEnv(database, { REFLOAT_RATE_LIMITS: UNLIMITED, REFLOAT_LOG: 'error' });
  const plane: ControlPlane = { origin: '', database, env, close: () => Promise.resolve() };
  const token = (await mint(plane, { ttlSeconds: 3600 })).jwt;
  const tokens: string[] = [];
  while (tokens.length < TOKENS) tokens.push((await mint(plane, { ttlSeconds: 3600 })).jwt);
  const hostId = await addHost(plane);
  const { id: first } = await addWorkload(plane, hostId);
  await addSnapshot(plane, { id: first, hostId });
  // Copies of these two, made by the database.
  await database.sql`insert into workloads (id, host_id, name, project, config)
    select gen_random_uuid(), host_id, name || '-' || n, project, config from workloads cross join generate_series(2, ${WORKLOADS}) n where id = ${first}`;
  await database.sql`insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
    select gen_random_uuid(), w.id, s.host_id, s.intent_id, s.kind, s.manifest_sha256, s.image, s.image_id, s.captured_at
    from snapshots s cross join workloads w where s.workload_id = ${first} and w.id <> ${first} and w.host_id = s.host_id`;
  const rows = await database.sql<{ id: string; name: string; sid: string }[]>`
    select w.id, w.name, s.id as sid from workloads w join snapshots s on s.workload_id = w.id where w.host_id = ${hostId}`;
  const restores = rows.map(({ id, name, sid }) => ({ path: `/api/workloads/${id}/snapshots/${sid}/restore`, name }));
  const keys = await readKeySet(env['REFLOAT_SIGNING_KEYS'] ?? '');
  const api = await start(['dist/refloat.js', 'serve', '--port', '0', '--json'], {
    ...env,
    REFLOAT_DATABASE_URL: database.url,
  });
  const bare = await start(['--import', 'tsx', 'test/bench/api-bare.ts'], {
    BENCH_DATABASE_URL: database.url,
    BENCH_JWKS: JSON.stringify(keys.publicJwks(new Date())),
  });
  try {
    const measured: HttpRow[] = [];
    for (const [name, run] of [
      ['authenticated read', read],
      ['authenticated read, each with another token', readWithOthers],
      ['restore call', restore],
    ] as const) {
      const taken: { api: Figures; bare: Figures }[] = [];
      for (let pair = -1; pair < pairs; pair++) {
        const both: { api?: Figures; bare?: Figures } = {};
        // In turns, and each first as often as the other.
        for (const who of pair % 2 === 0 ? (['api', 'bare'] as const) : (['bare', 'api'] as const)) {
          const { url } = who === 'api' ? api : bare;
          both[who] = await run({ url, token, tokens, restores }, pair < 0 ? 2 : seconds);
          // What was under way when the time was up has ended by then.
          await new Promise((resolve) => setTimeout(resolve, 1000));
          await database.db.delete(intents).where(eq(intents.hostId, hostId));
        }
        // The first pair warms both up.
        if (pair >= 0 && both.api !== undefined && both.bare !== undefined)
          taken.push({ api: both.api, bare: both.bare });
      }
      measured.push({ name, pairs: taken });
    }
    return measured;
  } finally {
    for (const { child } of [api, bare]) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
}

async function start(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    text += String(chunk);
    if (text.includes('\n')) return { url: (JSON.parse(text.split('\n')[0] ?? '') as { url: string }).url, child };
  }
  throw new Error(`${args.join(' ')} did not start`);
}

const workloadOf = ({ restores }: Target): string => restores[0]?.path.split('/').slice(0, 4).join('/') ?? '';

async function read(target: Target, seconds: number): Promise<Figures> {
  const { url, token } = target;
  return figures(
    await autocannon({
      url: url + workloadOf(target),
      connections: CONNECTIONS,
      duration: seconds,
      headers: { authorization: `Bearer ${token}` },
    }),
    200,
  );
}

async function readWithOthers(target: Target, seconds: number): Promise<Figures> {
  const path = `${workloadOf(target)}?permit`;
  return each(target, seconds, 200, (index) => ({
    path,
    headers: { authorization: `Bearer ${target.tokens[index % target.tokens.length]}` },
  }));
}

/** As many calls as there are workloads, or as the time allows: each one starts an intent. */
async function restore(target: Target, seconds: number): Promise<Figures> {
  const { token, restores } = target;
  return each(target, seconds, 202, (index) => {
    const { path = '', name = '' } = restores[index % restores.length] ?? {};
    return { method: 'POST', path, headers: { authorization: `Bearer ${token}`, 'x-confirm-restore': name } };
  });
}

/** Requests of which no two need be the same. @param request what is particular to the one with this number */
async function each(
  { url }: Target,
  seconds: number,
  expected: 200 | 202,
  request: (index: number) => autocannon.Request,
): Promise<Figures> {
  let next = 0;
  const instance = autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    requests: [{ setupRequest: (usual) => ({ ...usual, ...request(next++) }) }],
  });
  return figures(await instance, expected);
}

function figures(result: autocannon.Result, expected: 200 | 202): Figures {
  const right = result.statusCodeStats?.[`${expected}`]?.count ?? 0;
  const all = result.requests.total;
  if (right < all * 0.99 || result.errors > 0) {
    throw new Error(`${all - right} of ${all} answers were not ${expected}: ${JSON.stringify(result.statusCodeStats)}`);
  }
  return { perSecond: result.requests.average, p99Ms: result.latency.p99 };
}
