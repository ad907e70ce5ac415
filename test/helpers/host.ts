/** A host enrolled in a test database, with its own login, and what a control plane would write for it. */

import { newId } from '../../db/ids.ts';
import type { IntentKind, IntentState } from '../../db/intent-state.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import type { IntentEvent, IntentResult, Outcome, Progress } from '../../db/results.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';
import { randomSecret, scramVerifier } from '../../functions/auth/secrets.ts';
import type { TestDatabase } from './postgres.ts';

export interface IntentRow {
  readonly id: string;
  readonly kind: IntentKind;
  readonly state: IntentState;
  readonly leaseEpoch: number;
  readonly attempts: number;
  readonly step: string | null;
  readonly progress: Progress | null;
  readonly result: IntentResult | null;
  readonly error: Outcome['error'];
  readonly committed: boolean;
  readonly leaseLeftSeconds: number | null;
}

export interface TestHost {
  readonly id: string;
  /** Connection URL of the host's own login. */
  readonly url: string;
  addWorkload(config?: Partial<WorkloadConfigInput>, id?: string): Promise<string>;
  addIntent(
    kind: IntentKind,
    workloadId: string,
    more?: { snapshotId?: string; undoOf?: string; notAfter?: string },
  ): Promise<string>;
  intent(id: string): Promise<IntentRow>;
  events(id: string): Promise<IntentEvent[]>;
  /** Waits until an intent is as it should be; fails after `ms` with what it was. */
  until(id: string, is: (row: IntentRow) => boolean, ms?: number): Promise<IntentRow>;
  /** Waits until it is over. */
  ended(id: string, ms?: number): Promise<IntentRow>;
}

export async function enrolledHost(database: Pick<TestDatabase, 'sql' | 'db' | 'urlAs'>): Promise<TestHost> {
  const { sql, db } = database;
  const hostId = newId();
  await sql`insert into hosts (id, name) values (${hostId}, ${`h-${hostId.slice(-12)}`})`;
  const password = randomSecret();
  const role = await enrollHost(db, hostId, await scramVerifier(password));
  const host: TestHost = {
    id: hostId,
    url: database.urlAs(role, password),
    async addWorkload(config = {}, id = newId()) {
      const parsed = WORKLOAD_CONFIG.parse({
        name: `w-${id.slice(-12)}`,
        project: 'p',
        hostId,
        image: 'none:1',
        network: 'none',
        volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data' }],
        ...config,
      });
      await sql`insert into workloads (id, host_id, name, project, config)
        values (${id}, ${hostId}, ${parsed.name}, ${parsed.project}, ${JSON.stringify(parsed)}::text::jsonb)`;
      return id;
    },
    async addIntent(kind, workloadId, more = {}) {
      const id = newId();
      await sql`insert into intents (id, kind, workload_id, host_id, snapshot_id, undo_of, not_after, requested_by)
        values (${id}, ${kind}, ${workloadId}, ${hostId}, ${more.snapshotId ?? null}, ${more.undoOf ?? null},
          ${more.notAfter ?? null}::text::timestamptz, 'test')`;
      return id;
    },
    async intent(id) {
      const [row] = await sql<IntentRow[]>`
        select id, kind, state, lease_epoch::float8 as "leaseEpoch", attempts, step, progress, result, error,
          committed_at is not null as committed, extract(epoch from lease_until - now())::float8 as "leaseLeftSeconds"
        from intents where id = ${id}`;
      if (row === undefined) throw new Error(`there is no intent ${id}`);
      return row;
    },
    async events(id) {
      // A plain array: the driver's own kind is not deeply equal to one.
      return [
        ...(await sql<IntentEvent[]>`
          select seq, at::text, type, data from intent_events where intent_id = ${id} order by seq`),
      ];
    },
    async until(id, is, ms = 30_000) {
      return waitFor(() => host.intent(id), is, ms);
    },
    async ended(id, ms = 60_000) {
      return host.until(id, (row) => !['pending', 'claimed', 'running'].includes(row.state), ms);
    },
  };
  return host;
}

/** Looks every few milliseconds until what it sees is as it should be; fails after `ms` with what it saw last. */
export async function waitFor<T>(look: () => Promise<T> | T, is: (seen: T) => boolean, ms = 30_000): Promise<T> {
  const until = performance.now() + ms;
  for (;;) {
    const seen = await look();
    if (is(seen)) return seen;
    if (performance.now() > until) throw new Error(`not within ${ms} ms: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
