/**
 * A host whose work a test does by hand: it writes with the agent's own statements, one step at a time, so that a test
 * decides what a client sees and when.
 */
import { after } from 'node:test';
import type { Connection } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import type { AgentSql, Holder } from '../../db/queries/agent-statement.ts';
import { appendEvents } from '../../db/queries/append-events.ts';
import { type ClaimedRow, claimIntent } from '../../db/queries/claim-intent.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { insertHost } from '../../db/queries/insert-host.ts';
import { markCommitted } from '../../db/queries/mark-committed.ts';
import { registerSnapshot, registerSnapshotVolumes } from '../../db/queries/register-snapshot.ts';
import { startIntent } from '../../db/queries/start-intent.ts';
import { updateProgress } from '../../db/queries/update-progress.ts';
import type { IntentEvent, Outcome, Progress, SnapshotRecord } from '../../db/results.ts';
import { addWorkload, type ControlPlane, startNodeControlPlane } from './control-plane.ts';
import { testDatabase } from './postgres.ts';

const POLL_MS = 20;
/** So that a command that failed shows as itself, not as a test that never ends. */
const CLAIM_WITHIN_MS = 60_000;

class Hand {
  readonly #sql: AgentSql;
  readonly #hostId: string;
  readonly #instance = newId();

  constructor(connection: Connection, hostId: string) {
    this.#sql = connection.sql;
    this.#hostId = hostId;
  }

  /** Takes the host, as an agent does when it starts. */
  async appear(): Promise<void> {
    await this
      .#sql`update hosts set agent_instance = ${this.#instance}, agent_version = '0.1.0', engine_version = '20.10.24', agent_seen_at = now()
      where id = ${this.#hostId}`;
  }

  /** Waits for the next intent of the host. */
  async claim(): Promise<HeldIntent> {
    const deadline = Date.now() + CLAIM_WITHIN_MS;
    for (;;) {
      if (Date.now() > deadline) throw new Error('there is still no intent to claim');
      const row = await claimIntent(this.#sql, this.#hostId, this.#instance);
      if (row !== null) {
        const held = new HeldIntent(
          this.#sql,
          { intentId: row.id, hostId: this.#hostId, leaseEpoch: row.leaseEpoch },
          row,
        );
        await startIntent(this.#sql, held.holder);
        return held;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

export class HeldIntent {
  readonly holder: Holder;
  readonly row: ClaimedRow;
  readonly #sql: AgentSql;
  #seq = 0;

  constructor(sql: AgentSql, holder: Holder, row: ClaimedRow) {
    this.#sql = sql;
    this.holder = holder;
    this.row = row;
  }

  async emit(type: IntentEvent['type'], data: IntentEvent['data']): Promise<void> {
    this.#seq += 1;
    await appendEvents(this.#sql, this.holder, [{ seq: this.#seq, at: new Date().toISOString(), type, data }]);
  }

  async begin(step: string, progress: Progress | null = null): Promise<void> {
    await this.emit('step', { step, status: 'started' });
    await updateProgress(this.#sql, this.holder, step, progress);
  }

  async end(step: string, ms: number): Promise<void> {
    await this.emit('step', { step, status: 'done', ms });
  }

  async run(...steps: readonly (readonly [string, number])[]): Promise<void> {
    for (const [step, ms] of steps) {
      await this.begin(step);
      await this.end(step, ms);
    }
  }

  async commit(): Promise<void> {
    const answer = await markCommitted(this.#sql, this.holder);
    if (answer !== 'committed') throw new Error(`the commit was answered with ${answer}`);
  }

  async finish(outcome: Partial<Outcome> & Pick<Outcome, 'state'>): Promise<void> {
    await finishIntent(this.#sql, this.holder, { result: null, error: null, ...outcome });
  }

  async register(snapshot: Partial<SnapshotRecord> & Pick<SnapshotRecord, 'kind'>): Promise<string> {
    const record: SnapshotRecord = {
      id: newId(),
      workloadId: this.row.workloadId,
      intentId: this.row.id,
      manifestSha256: 'a'.repeat(64),
      image: 'postgres:17',
      imageId: `sha256:${'b'.repeat(64)}`,
      capturedAt: new Date().toISOString(),
      protectedUntil: null,
      volumes: [
        {
          name: 'data',
          scope: 'project',
          archiveSha256: 'c'.repeat(64),
          archiveBytes: 48_234_496,
          contentBytes: 312_475_648,
          entries: 1284,
          skipped: 0,
        },
      ],
      ...snapshot,
    };
    await registerSnapshot(this.#sql, this.holder, record);
    await registerSnapshotVolumes(this.#sql, this.holder, record);
    return record.id;
  }
}

/** A control plane in this process with one host, moved by hand, and one workload `shop-db`. */
export interface HandStage {
  readonly plane: ControlPlane;
  readonly hand: Hand;
  readonly hostId: string;
  readonly workloadId: string;
  readonly workloadName: string;
}

/** Call it at the top of a test file: the server ends with the file. */
export async function handStage(): Promise<HandStage> {
  const plane = await startNodeControlPlane(await testDatabase());
  after(() => plane.close());
  const hostId = newId();
  await insertHost(plane.database.db, hostId, 'amber');
  const workload = await addWorkload(plane, hostId, {
    name: 'shop-db',
    image: 'postgres:17',
    volumes: [{ name: 'data', scope: 'project', source: 'pgdata', target: '/var/lib/postgresql/data' }],
  });
  const hand = new Hand(plane.database, hostId);
  await hand.appear();
  return { plane, hand, hostId, workloadId: workload.id, workloadName: workload.name };
}
