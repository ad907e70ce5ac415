/**
 * The sweep `claims`: who may say what of an intent, whatever happens at once.
 *
 * - `storm/k`: k claimers on 10,000 intents; each is claimed once, a workload's one after the other, in their order.
 * - `stop/state/what`: the holder is stopped (SIGSTOP) in that state until its lease is over by an hour; meanwhile nothing happens,
 *   the intent is cancelled, runs out, or another agent takes it. Then the holder goes on as if nothing had been.
 * - `cancel/n`: a cancel and the commit point at the same time; exactly one of them wins.
 * - `clock/hours`: the agent's clock jumps by hours at every step; nothing that is decided by time depends on it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endWithin } from '../../agent/claim/agent-database.ts';
import { type Connection, connect } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { claimIntent } from '../../db/queries/claim-intent.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { markCommitted } from '../../db/queries/mark-committed.ts';
import { readoptIntents } from '../../db/queries/readopt-intents.ts';
import { requestCancel } from '../../db/queries/request-cancel.ts';
import type { Outcome } from '../../db/results.ts';
import { type Random, randomOf } from '../crash/random.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from '../crash/sweep.ts';
import { enrolledHost, type TestHost } from '../helpers/host.ts';
import type { HolderAnswer, HolderOrder } from './claim-holder.ts';
import { type PostgresPlace, startPostgresPlace } from './postgres-place.ts';

const STATES = ['claimed', 'running', 'told', 'committed'] as const;
const WHATS = ['nothing', 'cancelled', 'expired', 'taken', 'finished-by-another'] as const;
const INTENTS = 10_000;
const PER_WORKLOAD = 4;
const CLAIMERS = { least: 2, most: 50 };
const DONE: Outcome = { state: 'succeeded', result: {}, error: null };
const FAILED: Outcome = { state: 'failed', result: null, error: null };

export const claims: Sweep = {
  async open(slot: Slot) {
    const postgres = await startPostgresPlace(join(slot.directory, 'postgres'));
    const host = await enrolledHost({ ...postgres.admin, urlAs: postgres.urlAs });
    const session = new ClaimsSession(slot, postgres, host);
    await session.begin();
    return session;
  },
};

class ClaimsSession implements SweepSession {
  readonly #slot: Slot;
  readonly #postgres: PostgresPlace;
  readonly #host: TestHost;
  readonly #instance = newId();
  readonly #agent: Connection;
  readonly #holder: ChildProcess;
  readonly #stateDir: string;

  constructor(slot: Slot, postgres: PostgresPlace, host: TestHost) {
    this.#slot = slot;
    this.#postgres = postgres;
    this.#host = host;
    this.#agent = connect(host.url, { max: CLAIMERS.most, applicationName: 'refloat-agent', prepare: false });
    this.#stateDir = join(slot.directory, 'state');
    this.#holder = fork(join(import.meta.dirname, 'claim-holder.ts'), [], {
      execArgv: ['--import', import.meta.resolve('tsx')],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  async begin(): Promise<void> {
    // A host's login has few connections; here they stand for claimers.
    const role = decodeURIComponent(new URL(this.#host.url).username);
    await this.#postgres.admin.sql.unsafe(`alter role ${role} connection limit -1`);
    await this.#takeHost(this.#instance);
    const open = { url: this.#host.url, hostId: this.#host.id, instance: this.#instance, stateDir: this.#stateDir };
    await this.#tell({ open });
  }

  async cases(count: number, random: Random): Promise<string[]> {
    const between = Array.from(
      { length: CLAIMERS.most - CLAIMERS.least - 1 },
      (_, index) => CLAIMERS.least + 1 + index,
    );
    const storms = [CLAIMERS.most, CLAIMERS.least, ...random.shuffle(between)].map((claimers) => `storm/${claimers}`);
    const stops = STATES.flatMap((state) => WHATS.map((what) => `stop/${state}/${what}`));
    // None in a small sample: each takes as long as a hundred of the others.
    const chosen = storms.slice(0, Math.floor(count / 100));
    for (let index = 0; chosen.length < count; index += 1) {
      const third = index % 3;
      if (third === 0) chosen.push(`cancel/${index}`);
      else if (third === 1) chosen.push(`clock/${index}`);
      else chosen.push(`${stops[Math.floor(index / 3) % stops.length]}/${index}`);
    }
    return random.shuffle(chosen);
  }

  async run(name: string): Promise<CaseResult> {
    const [kind, first = '', what = ''] = name.split('/');
    const random = randomOf(`${this.#slot.seed}/${name}`);
    const violations: string[] = [];
    const check = (ok: boolean, wrong: string): void => {
      if (!ok) violations.push(wrong);
    };
    if (kind === 'storm') await this.#storm(Number(first), check);
    else if (kind === 'cancel') await this.#cancel(random, check);
    else if (kind === 'clock') await this.#clock(random, check);
    else await this.#stop(first as (typeof STATES)[number], what as (typeof WHATS)[number], check);
    return { count: 1, violations, ended: kind };
  }

  async close(): Promise<void> {
    await this.#tell({ close: true });
    this.#holder.disconnect();
    await once(this.#holder, 'exit');
    await endWithin(this.#agent.sql, 1000);
    await this.#postgres.close();
  }

  async #storm(claimers: number, check: Check): Promise<void> {
    const { sql } = this.#postgres.admin;
    const workloads = await this.#workloads(INTENTS / PER_WORKLOAD);
    await sql`
      insert into intents (id, kind, workload_id, host_id, requested_by, created_at)
      select gen_random_uuid(), 'verify', w.id::uuid, ${this.#host.id}, 'storm', now() + n * interval '1 ms'
      from unnest(${workloads}::text[]) as w(id), generate_series(1, ${PER_WORKLOAD}) as n`;
    await sql`analyze intents`;
    const claimed: { id: string; workload: string }[] = [];
    const hostId = this.#host.id;
    let left = INTENTS;
    const claimer = async (): Promise<void> => {
      while (left > 0) {
        const row = await claimIntent(this.#agent.sql, hostId, this.#instance);
        if (row === null) {
          await delay(2);
          continue;
        }
        claimed.push({ id: row.id, workload: row.workloadId });
        const holder = { intentId: row.id, hostId, leaseEpoch: row.leaseEpoch };
        const answer = await finishIntent(this.#agent.sql, holder, FAILED);
        check(answer === 'finished', `the outcome of ${row.id} was answered with ${answer}`);
        left -= 1;
      }
    };
    await Promise.all(Array.from({ length: claimers }, claimer));
    check(new Set(claimed.map(({ id }) => id)).size === INTENTS, `${claimed.length} claims of ${INTENTS} intents`);
    const [sums] = await sql`
      select count(*) filter (where attempts <> 1 or lease_epoch <> 1 or state <> 'failed')::int as wrong, count(*)::int as all
      from intents where requested_by = 'storm'`;
    check(
      sums?.['wrong'] === 0 && sums['all'] === INTENTS,
      `${sums?.['wrong']} of ${sums?.['all']} were not worked on once`,
    );
    const [order] = await sql`
      select count(*)::int as wrong from (
        select created_at < lag(created_at) over (partition by workload_id order by claimed_at, finished_at) as late
        from intents where requested_by = 'storm') as claimed where late`;
    check(order?.['wrong'] === 0, `${order?.['wrong']} intents of a workload were claimed out of their order`);
    await sql`delete from intents where requested_by = 'storm'`;
  }

  async #cancel(random: Random, check: Check): Promise<void> {
    const id = await this.#claimHere();
    const holder = { intentId: id, hostId: this.#host.id, leaseEpoch: 1 };
    const soon = async <T>(work: () => Promise<T>): Promise<T> => {
      await delay(random.below(4));
      return work();
    };
    const [commit, cancel] = await Promise.all([
      soon(() => markCommitted(this.#agent.sql, holder)),
      soon(() => requestCancel(this.#postgres.admin.db, id)),
    ]);
    check(
      (commit === 'committed') !== (cancel !== null),
      `the commit was answered with ${commit}, the cancel ${cancel === null ? 'refused' : 'accepted'}`,
    );
    check((await this.#host.intent(id)).committed === (commit === 'committed'), 'the row says something else');
    check((await markCommitted(this.#agent.sql, holder)) === commit, 'the answer changes when it is asked for again');
    const state = commit === 'committed' ? 'succeeded' : 'cancelled';
    const answer = await finishIntent(this.#agent.sql, holder, { ...DONE, state });
    check(answer === 'finished', `the outcome was answered with ${answer}`);
  }

  async #clock(random: Random, check: Check): Promise<void> {
    const hours = (): number => random.below(240) - 120;
    // By the database's clock there is an hour left, whatever the agent believes.
    const id = await this.#add({ notAfter: new Date(Date.now() + 3_600_000).toISOString() });
    await this.#tell({ clock: hours() });
    check((await this.#tell({ claim: true })).gave === id, 'it was not claimed');
    const orders: HolderOrder[] = [
      { start: true },
      { event: 'stage' },
      { event: 'quiesce' },
      { confirm: 'early' },
      { event: 'swap' },
    ];
    for (const order of orders) {
      await this.#tell({ clock: hours() });
      const answer = await this.#tell(order);
      check('gave' in answer, `${JSON.stringify(order)} fails with ${JSON.stringify(answer)}`);
    }
    const lease = (await this.#host.intent(id)).leaseLeftSeconds ?? 0;
    check(lease > 0 && lease <= 60, `the lease has ${lease} s left`);
    check((await this.#tell({ finish: DONE })).gave === true, 'not everything was delivered');
    await this.#tell({ clock: 0 });
    await this.#judge(id, 'succeeded', ['stage', 'quiesce', 'swap'], check);
  }

  async #stop(state: (typeof STATES)[number], what: (typeof WHATS)[number], check: Check): Promise<void> {
    const id = await this.#add();
    const steps: readonly (readonly [string, HolderOrder])[] = [
      ['claimed', { claim: true }],
      ['running', { start: true }],
      ['told', { event: 'stage' }],
      ['committed', { confirm: 'now' }],
    ];
    const at = STATES.indexOf(state);
    for (const [name, order] of steps.slice(0, at + 1)) {
      const answer = await this.#tell(order);
      check('gave' in answer, `${name} fails with ${JSON.stringify(answer)}`);
    }
    if (at >= STATES.indexOf('told')) await this.#host.until(id, () => true);
    this.#holder.kill('SIGSTOP');
    const cancelled = await this.#meanwhile(id, what);
    const eventsThen = await this.#host.events(id);
    const rest = steps.slice(at + 1).map(([, order]) => this.#tell(order));
    this.#holder.kill('SIGCONT');
    const answers = await Promise.all(rest);
    const codes = answers.map((answer) => ('failed' in answer ? answer.failed : 'fine'));
    const isCommitted = state === 'committed';
    if (state === 'claimed' && what === 'expired')
      check(codes[0] === 'EXPIRED', `the start answers ${codes[0]}, not EXPIRED`);
    if (what === 'cancelled') check(cancelled === !isCommitted, `the cancel was ${cancelled ? 'accepted' : 'refused'}`);
    const confirmed = isCommitted ? 'fine' : codes.at(-1);
    const wanted = {
      nothing: 'fine',
      cancelled: 'CANCELLED',
      expired: 'EXPIRED',
      taken: 'LEASE_LOST',
      'finished-by-another': 'LEASE_LOST',
    };
    if (!isCommitted) check(confirmed === wanted[what], `the commit point answers ${confirmed}, not ${wanted[what]}`);
    await this.#tell({
      finish: confirmed === 'fine' ? DONE : { ...FAILED, state: what === 'cancelled' ? 'cancelled' : 'failed' },
    });
    if (what === 'taken' || what === 'finished-by-another') {
      await this.#judgeTaken(id, what, eventsThen.length, check);
      return;
    }
    const ended = confirmed === 'fine' ? 'succeeded' : what === 'cancelled' ? 'cancelled' : 'failed';
    await this.#judge(id, ended, ['stage'], check);
  }

  /** While the holder is stopped. True when a cancel was accepted. */
  async #meanwhile(id: string, what: (typeof WHATS)[number]): Promise<boolean> {
    const { sql, db } = this.#postgres.admin;
    await sql`update intents set lease_until = now() - interval '1 hour' where id = ${id}`;
    if (what === 'cancelled') return (await requestCancel(db, id)) !== null;
    if (what === 'expired') await sql`update intents set not_after = now() - interval '1 minute' where id = ${id}`;
    if (what === 'taken' || what === 'finished-by-another') {
      const another = newId();
      await this.#takeHost(another);
      const rows = await readoptIntents(this.#agent.sql, this.#host.id, another);
      const row = rows.find((one) => one.id === id);
      if (row === undefined) throw new Error('another agent could not take it');
      if (what === 'finished-by-another') {
        const holder = { intentId: id, hostId: this.#host.id, leaseEpoch: row.leaseEpoch };
        await finishIntent(this.#agent.sql, holder, FAILED);
      }
    }
    return false;
  }

  /** What the one that was stopped said afterwards has left nothing behind but what it keeps for people. */
  async #judgeTaken(id: string, what: string, events: number, check: Check): Promise<void> {
    const row = await this.#host.intent(id);
    const isOver = what === 'finished-by-another';
    check(
      isOver ? row.state === 'failed' : row.state === 'claimed' || row.state === 'running',
      `the row is ${row.state}`,
    );
    check(row.leaseEpoch === 2, `the epoch is ${row.leaseEpoch}`);
    check((await this.#host.events(id)).length === events, 'a stale epoch has written events');
    check(existsSync(join(this.#stateDir, 'spool', 'lost', `${id}.jsonl`)), 'what it had to say is not kept');
    const holder = { intentId: id, hostId: this.#host.id, leaseEpoch: 2 };
    if (!isOver)
      check(
        (await finishIntent(this.#agent.sql, holder, FAILED)) === 'finished',
        'the one that took it cannot finish it',
      );
    await this.#takeHost(this.#instance);
  }

  async #judge(id: string, state: string, steps: readonly string[], check: Check): Promise<void> {
    const row = await this.#host.intent(id);
    check(row.state === state, `the row is ${row.state}, not ${state}`);
    check(row.leaseEpoch === 1 && row.attempts === 1, `epoch ${row.leaseEpoch}, attempt ${row.attempts}`);
    const events = await this.#host.events(id);
    check(
      events.every(({ seq }, index) => seq === index + 1),
      'the events have gaps',
    );
    const told = events.map(({ data }) => data['step']);
    check(told.join(' ') === steps.join(' '), `the events tell of ${told.join(' ')}`);
    const spool = join(this.#stateDir, 'spool');
    const left = readdirSync(spool).filter((name) => name.startsWith(id));
    check(left.length === 0, 'something is left in the spool');
  }

  async #takeHost(instance: string): Promise<void> {
    await this.#postgres.admin
      .sql`update hosts set agent_instance = ${instance}, agent_seen_at = now() where id = ${this.#host.id}`;
  }

  async #add(more: { notAfter?: string } = {}): Promise<string> {
    return this.#host.addIntent('verify', await this.#host.addWorkload(), more);
  }

  /** Claimed by this process, and running. */
  async #claimHere(): Promise<string> {
    const id = await this.#add();
    const row = await claimIntent(this.#agent.sql, this.#host.id, this.#instance);
    if (row?.id !== id) throw new Error(`claimed ${row?.id} instead of ${id}`);
    return id;
  }

  async #workloads(count: number): Promise<string[]> {
    const { sql } = this.#postgres.admin;
    const known = await sql<{ id: string }[]>`select id from workloads where project = 'storm' order by id`;
    if (known.length >= count) return known.slice(0, count).map(({ id }) => id);
    const pattern = await this.#host.addWorkload({ project: 'storm' });
    await sql`
      insert into workloads (id, host_id, name, project, config)
      select gen_random_uuid(), host_id, name || '-' || n, project, config from workloads, generate_series(2, ${count}) as n
      where id = ${pattern}`;
    return this.#workloads(count);
  }

  async #tell(order: HolderOrder): Promise<{ readonly gave?: unknown; readonly failed?: string }> {
    const answered = new Promise<HolderAnswer>((resolve) => {
      this.#waiting.push(resolve);
    });
    if (!this.#isListening) {
      this.#isListening = true;
      this.#holder.on('message', (answer: HolderAnswer) => this.#waiting.shift()?.(answer));
    }
    this.#holder.send(order);
    return answered;
  }

  readonly #waiting: ((answer: HolderAnswer) => void)[] = [];
  #isListening = false;
}

type Check = (ok: boolean, wrong: string) => void;
