/**
 * Sweep "database": Postgres is killed, restarted, cut off, half open or slow, from the n-th statement or the n-th record of a
 * restore, an undo or a capture on; for a moment, or until the work has ended on the host. The whole agent but its recovery runs
 * here as it does in its process. Its waiting for an answer is cut from ten seconds to 1.5, and a slow way stands for one that takes
 * half a minute: it is slower than the agent waits.
 *
 * Judged by the host's oracle, and by the database's: what it is told in the end is what is on the disk, every event in order and
 * once, and nothing is left to tell.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentDatabase } from '../../agent/claim/agent-database.ts';
import { type AgentSession, openSession } from '../../agent/claim/session.ts';
import { readJournal } from '../../agent/restore/journal-dir.ts';
import { newId } from '../../db/ids.ts';
import { isOver } from '../../db/intent-state.ts';
import type { Outcome } from '../../db/results.ts';
import type { Random } from '../crash/random.ts';
import type { CaseResult, Slot, SweepSession } from '../crash/sweep.ts';
import { enrolledHost, type IntentRow, type TestHost } from '../helpers/host.ts';
import type { DatabaseRelay, WayFault } from './database-relay.ts';
import { Lab, type Version } from './lab.ts';
import type { PostgresPlace } from './postgres-place.ts';

/** The server and the way to it; they live outside, since this file is bundled. */
interface DatabasePlace {
  readonly postgres: PostgresPlace;
  readonly relay: DatabaseRelay;
}

const FLOWS = ['restore', 'undo', 'capture', 'cancelled'] as const;
type Flow = (typeof FLOWS)[number];
const FAULTS = [
  'kill',
  'restart',
  'cut',
  'refuse',
  'half-open',
  'slow',
  'refuse-to-the-end',
  'half-open-to-the-end',
] as const;
type Fault = (typeof FAULTS)[number];
/** `said`: the agent speaks to Postgres. `record`: it looks at the clock, as it does for every record and event. */
const WHEN = { said: 40, record: 60 } as const;
const MOMENT_MS = 2200;
const CALL_LIMIT_MS = 1500;
const ENDED_MS = 120_000;

export async function openDatabaseSession(slot: Slot, place: DatabasePlace): Promise<SweepSession> {
  const lab = await Lab.open(join(slot.directory, 'lab'));
  const { admin, urlAs } = place.postgres;
  const host = await enrolledHost({ ...admin, urlAs });
  const session = new DatabaseSession(lab, place, host);
  await session.begin();
  return {
    cases: async (count, random) => session.cases(count, random),
    run: (name) => session.run(name),
    async close() {
      await session.end();
      await lab.close();
    },
  };
}

class DatabaseSession {
  readonly #lab: Lab;
  readonly #place: DatabasePlace;
  readonly #host: TestHost;
  readonly #stop = new AbortController();
  readonly #database: AgentDatabase;
  #agent: AgentSession | null = null;
  #running: Promise<void> = Promise.resolve();
  #isDirty = false;
  #lastRestore = '';
  #onClock: () => void = () => undefined;

  constructor(lab: Lab, place: DatabasePlace, host: TestHost) {
    this.#lab = lab;
    this.#place = place;
    this.#host = host;
    this.#database = new AgentDatabase(place.relay.url(host.url), CALL_LIMIT_MS);
  }

  async begin(): Promise<void> {
    await this.#host.addWorkload({ ...this.#lab.workload.config, hostId: this.#host.id }, this.#lab.workload.id);
    await this.#register();
    const now = (): Date => {
      this.#onClock();
      return new Date();
    };
    const deps = this.#lab.deps(this.#lab.engine, { now });
    const databaseUrl = this.#place.relay.url(this.#host.url);
    const options = { deps, database: this.#database, databaseUrl, instance: newId(), stop: this.#stop.signal };
    this.#agent = await openSession(options);
    this.#running = this.#agent.run();
  }

  async end(): Promise<void> {
    await this.#place.relay.heal();
    this.#stop.abort(new Error('the sweep ends'));
    await this.#running;
    await this.#agent?.close();
    await this.#database.close();
  }

  cases(count: number, random: Random): string[] {
    const all = FLOWS.flatMap((flow) =>
      FAULTS.flatMap((fault) =>
        Object.entries(WHEN).flatMap(([when, most]) =>
          Array.from({ length: most }, (_, index) => `${flow}/${fault}/${when}/${index + 1}`),
        ),
      ),
    );
    // Starting the server again takes seconds; one case in forty.
    const rare = random.shuffle(all.filter((name) => name.includes('/restart/')));
    const usual = random.shuffle(all.filter((name) => !name.includes('/restart/')));
    // A third is never met: the flow has ended before that.
    const many = count * 2;
    const restarts = Math.ceil(many / 40);
    return random.shuffle([...rare.slice(0, restarts), ...usual.slice(0, many - restarts)]);
  }

  async run(name: string): Promise<CaseResult> {
    const [flow, fault, when, at] = name.split('/') as [Flow, Fault, keyof typeof WHEN, string];
    if (this.#isDirty) await this.#rebuild();
    this.#isDirty = true;
    if (flow === 'undo') this.#lastRestore = await this.#cleanRestore();
    else await this.#lab.begin('running', false);
    const before = this.#lab.version() ?? 'one';
    const other: Version = before === 'one' ? 'two' : 'one';
    const wanted = flow === 'capture' ? before : other;

    const met = this.#arm(fault, when, Number(at));
    const id = await this.#ask(flow, other);
    if (flow === 'cancelled') await this.#cancelSoon(id, met.healed);
    const row = await this.#ended(id, fault, met.healed);
    this.#onClock = () => undefined;
    await this.#place.relay.heal();
    const outcome: Outcome = { state: row.state as Outcome['state'], result: row.result, error: row.error };
    const violations = [
      ...(await this.#lab.judge(flow === 'cancelled' ? 'restore' : flow, before, wanted, outcome)),
      ...(await this.#judgeRows(row)),
    ];
    this.#isDirty = violations.length > 0;
    return { count: met.isMet() ? 1 : 0, violations, ended: met.isMet() ? row.state : 'not met' };
  }

  /** The fault comes when its moment does, and goes by itself, unless it is to last to the end of the work. */
  #arm(fault: Fault, when: keyof typeof WHEN, at: number): { isMet(): boolean; healed: () => Promise<void> } {
    let [met, looks] = [false, 0];
    let healing: Promise<void> = Promise.resolve();
    const strike = (): void => {
      met = true;
      healing = this.#strike(fault);
    };
    if (when === 'said') {
      this.#place.relay.at(at, strike);
    } else {
      this.#onClock = () => {
        looks += 1;
        if (looks === at) strike();
      };
    }
    return { isMet: () => met, healed: () => healing };
  }

  async #strike(fault: Fault): Promise<void> {
    const { relay, postgres } = this.#place;
    switch (fault) {
      case 'kill':
        await postgres.admin
          .sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'refloat-agent'`;
        return;
      case 'restart':
        return postgres.restart();
      case 'cut':
        relay.befall('cut');
        return;
      case 'refuse':
      case 'half-open':
      case 'slow':
        relay.befall(fault);
        await delay(MOMENT_MS);
        return relay.heal();
      case 'refuse-to-the-end':
      case 'half-open-to-the-end':
        relay.befall(fault.replace('-to-the-end', '') as WayFault);
        return;
      default:
        fault satisfies never;
    }
  }

  async #ask(flow: Flow, other: Version): Promise<string> {
    const { id: workloadId } = this.#lab.workload;
    if (flow === 'capture') return this.#host.addIntent('capture', workloadId);
    if (flow === 'undo') return this.#host.addIntent('undo', workloadId, { undoOf: this.#lastRestore });
    return this.#host.addIntent('restore', workloadId, { snapshotId: this.#lab.snapshot(other).id });
  }

  /** Some time after the intent was claimed; again while the database restarts, as a person would. */
  async #cancelSoon(id: string, healed: () => Promise<void>): Promise<void> {
    await delay(Number.parseInt(id.slice(-3), 16) % 1500);
    for (const until = performance.now() + ENDED_MS; ; await delay(20)) {
      const thrown = await this.#cancel(id).catch((error: unknown) => error);
      if (thrown === undefined) return;
      if (performance.now() > until) throw thrown;
      await healed();
    }
  }

  /** As the handler of a cancel does. */
  async #cancel(id: string): Promise<void> {
    await this.#place.postgres.admin.sql`
      update intents set cancel_requested_at = now(), state = case when state = 'pending' then 'cancelled' else state end,
        finished_at = case when state = 'pending' then now() else finished_at end
      where id = ${id} and committed_at is null and state in ('pending', 'claimed', 'running')`;
  }

  /** Waits for the end, on the host and then in the database. */
  async #ended(id: string, fault: Fault, healed: () => Promise<void>): Promise<IntentRow> {
    for (const until = performance.now() + ENDED_MS; ; await delay(20)) {
      await healed();
      const row = await this.#host.intent(id).catch(() => null);
      if (row !== null && isOver(row.state)) return row;
      if (fault.endsWith('to-the-end')) {
        const { state } = readJournal(this.#lab.config.stateDir, id);
        const claimed = row !== null && row.state !== 'pending';
        // What it cannot claim, or has not begun under a journal, waits for the database.
        if (!claimed || state === null || state.outcome !== null) await this.#place.relay.heal();
      }
      if (performance.now() > until) throw new Error(`the intent is still ${row?.state} at ${row?.step}`);
    }
  }

  async #judgeRows(row: IntentRow): Promise<string[]> {
    const found: string[] = [];
    const recorded = readJournal(this.#lab.config.stateDir, row.id).state?.outcome ?? null;
    if (recorded !== null && recorded.state !== row.state)
      found.push(`the database says ${row.state}, and the journal ${recorded.state}`);
    const events = await this.#host.events(row.id);
    const seqs = events.map(({ seq }) => seq);
    if (seqs.some((seq, index) => seq !== index + 1)) found.push(`the events are numbered ${seqs.join(' ')}`);
    const done = events.flatMap(({ data }) => (data['status'] === 'done' ? [String(data['step'])] : []));
    if (new Set(done).size !== done.length) found.push(`steps ended twice: ${done.join(' ')}`);
    const ended = Object.keys(Object.fromEntries((recorded?.result?.steps ?? []).map(({ name }) => [name, 1])));
    if (row.state === 'succeeded' && done.join(' ') !== ended.join(' '))
      found.push(`the events tell of ${done.join(' ')}, and the journal of ${ended.join(' ')}`);
    const spool = join(this.#lab.config.stateDir, 'spool');
    for (const until = performance.now() + 10_000; ; await delay(20)) {
      const left = existsSync(spool) ? readdirSync(spool) : [];
      if (left.length === 0) return found;
      if (performance.now() > until) return [...found, `left behind in the spool: ${left.join(' ')}`];
    }
  }

  async #cleanRestore(): Promise<string> {
    await this.#lab.begin('running', false);
    const id = await this.#ask('restore', this.#lab.version() === 'one' ? 'two' : 'one');
    const row = await this.#host.ended(id, ENDED_MS);
    if (row.state !== 'succeeded') throw new Error(`without a fault: ${row.state} ${JSON.stringify(row.error)}`);
    return id;
  }

  async #rebuild(): Promise<void> {
    await this.#place.relay.heal();
    // What a case left under way would be in the way of every later one.
    await this.#place.postgres.admin.sql`
      update intents set state = 'failed', finished_at = now() where state in ('pending', 'claimed', 'running')`;
    await this.#lab.rebuild();
    await this.#register();
  }

  /** The lab's snapshots in the database, as their captures would have. */
  async #register(): Promise<void> {
    for (const version of ['one', 'two'] as const) {
      const { id, manifestSha256 } = this.#lab.snapshot(version);
      await this.#place.postgres.admin.sql`
        insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
        values (${id}, ${this.#lab.workload.id}, ${this.#host.id}, ${newId()}, 'capture', ${manifestSha256}, 'i', 'i', now())`;
    }
  }
}
