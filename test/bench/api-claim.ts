/** From the commit of an intent to its claim: one idle agent beside an idle graphile-worker, and a thousand agents on one server. */
import { Logger, run } from 'graphile-worker';
import { newId } from '../../db/ids.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { insertIntent } from '../../db/queries/insert-intent.ts';
import { scramVerifier } from '../../functions/auth/secrets.ts';
import { addHost, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import type { TestDatabase } from '../helpers/postgres.ts';
import { median, quantile } from './quantile.ts';
import { cpuSecondsOf, memoryOf } from './server-load.ts';
import { SimulatedAgent } from './simulated-agent.ts';

const PASSWORD = 'bench-password';
const IDLE_SECONDS = 30;
/** Sessions that sleep tell Postgres of their last transactions with their next one, half a minute later: those of the start are not idle load. */
const SETTLE_MS = 45_000;
const PAUSE_MS = 20;
/** application_name of graphile-worker's sessions. */
const WORKER = 'bench-worker';
/** Agents that start at the same moment. */
const AT_ONCE = 10;

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}
export interface ClaimRow {
  readonly agent: Quantiles;
  readonly graphileWorker: Quantiles;
}
export interface FleetRow {
  readonly agents: number;
  readonly startSeconds: number;
  readonly connections: number;
  /** Of the whole server, idle. */
  readonly serverCpuPercent: number;
  readonly statementsPerSecond: number;
  readonly memoryMiBPerAgent: number;
  readonly claim: Quantiles;
}

const planeOf = (database: TestDatabase): ControlPlane => ({
  origin: '',
  database,
  env: {},
  close: () => Promise.resolve(),
});
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Agents with logins of their own, and a workload each. */
class Fleet {
  readonly agents: SimulatedAgent[] = [];
  readonly #database: TestDatabase;
  readonly #workloads: { id: string; hostId: string }[] = [];
  readonly #waiting = new Map<string, () => void>();

  constructor(database: TestDatabase) {
    this.#database = database;
  }

  async start(count: number): Promise<void> {
    const verifier = await scramVerifier(PASSWORD);
    const plane = planeOf(this.#database);
    const startOne = async (): Promise<void> => {
      const hostId = await addHost(plane);
      const role = await enrollHost(this.#database.db, hostId, verifier);
      this.#workloads.push(await addWorkload(plane, hostId));
      const agent = new SimulatedAgent(this.#database.urlAs(role, PASSWORD), hostId, (id) => this.#waiting.get(id)?.());
      this.agents.push(agent);
      await agent.start();
    };
    for (let begun = 0; begun < count; begun += AT_ONCE)
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - begun) }, startOne));
    while (!this.agents.every((agent) => agent.listens)) await pause(100);
  }

  /** ms from the commit to the claim, of an intent for one of them. */
  async claimed(): Promise<number> {
    const workload = this.#workloads[Math.floor(Math.random() * this.#workloads.length)];
    if (workload === undefined) throw new Error('no workload');
    const id = newId();
    const claim = new Promise<number>((resolve) => this.#waiting.set(id, () => resolve(performance.now())));
    const row = await insertIntent(this.#database.db, {
      id,
      kind: 'verify',
      workloadId: workload.id,
      hostId: workload.hostId,
      requestedBy: 'bench',
    });
    if (row === null) throw new Error('an intent was in the way');
    const committed = performance.now();
    const at = await claim;
    this.#waiting.delete(id);
    return at - committed;
  }

  async stop(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.stop()));
  }
}

function named(url: string, applicationName: string): string {
  const to = new URL(url);
  to.searchParams.set('application_name', applicationName);
  return to.href;
}

/** Its pool says that it has ended while its sessions still do, and throws when the server goes away under them. */
async function untilGone({ sql }: TestDatabase, applicationName: string): Promise<void> {
  while ((await sql`select from pg_stat_activity where application_name = ${applicationName}`).length > 0)
    await pause(PAUSE_MS);
}

/** One idle agent and one idle graphile-worker, in turns. */
export async function measureClaim(database: TestDatabase, count: number): Promise<ClaimRow> {
  const fleet = new Fleet(database);
  await fleet.start(1);
  let started: (at: number) => void = () => undefined;
  const worker = await run({
    connectionString: named(database.url, WORKER),
    concurrency: 1,
    pollInterval: 2000,
    taskList: { bench: () => started(performance.now()) },
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
  });
  const job = async (): Promise<number> => {
    const begun = new Promise<number>((resolve) => (started = resolve));
    await worker.addJob('bench', {});
    const committed = performance.now();
    return (await begun) - committed;
  };
  const [agent, graphileWorker]: [number[], number[]] = [[], []];
  for (let index = -20; index < count; index++) {
    const ours = await fleet.claimed();
    await pause(PAUSE_MS);
    const theirs = await job();
    await pause(PAUSE_MS);
    if (index < 0) continue;
    agent.push(ours);
    graphileWorker.push(theirs);
  }
  await worker.stop();
  await untilGone(database, WORKER);
  await fleet.stop();
  return { agent: quantiles(agent), graphileWorker: quantiles(graphileWorker) };
}

export async function measureFleet(database: TestDatabase, agents: number, claims: number): Promise<FleetRow> {
  const before = memoryOf(await serverPid(database));
  const began = performance.now();
  const fleet = new Fleet(database);
  await fleet.start(agents);
  const startSeconds = (performance.now() - began) / 1000;
  const pid = await serverPid(database);
  const look = async () => ({
    at: performance.now(),
    cpu: cpuSecondsOf(pid),
    statements: await transactions(database),
  });
  await pause(SETTLE_MS);
  const first = await look();
  await pause(IDLE_SECONDS * 1000);
  const last = await look();
  const seconds = (last.at - first.at) / 1000;
  const [{ n: connections } = { n: 0 }] = await database.sql<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity where application_name like 'refloat-agent%'`;
  const memory = memoryOf(pid);
  const taken: number[] = [];
  for (let index = 0; index < claims; index++) {
    taken.push(await fleet.claimed());
    await pause(PAUSE_MS);
  }
  await fleet.stop();
  return {
    agents,
    startSeconds,
    connections,
    serverCpuPercent: ((last.cpu - first.cpu) / seconds) * 100,
    statementsPerSecond: (last.statements - first.statements) / seconds,
    memoryMiBPerAgent: (memory - before) / agents / 1024 / 1024,
    claim: quantiles(taken),
  };
}

async function serverPid({ sql }: TestDatabase): Promise<number> {
  // The parent of any backend is the postmaster.
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row?.pid ?? 0;
}

async function transactions({ sql }: TestDatabase): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select (xact_commit + xact_rollback)::float8 as n from pg_stat_database where datname = current_database()`;
  return row?.n ?? 0;
}

const quantiles = (values: readonly number[]): Quantiles => ({ p50: median(values), p99: quantile(values, 0.99) });
