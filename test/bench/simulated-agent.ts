/**
 * An agent as Postgres sees it: the real connections, LISTEN, claim statement, heartbeat, poll and inventory at the real pace; no
 * engine and no work behind it.
 */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { AgentDatabase } from '../../agent/claim/agent-database.ts';
import { jittered } from '../../agent/claim/backoff.ts';
import { Bell } from '../../agent/claim/bell.ts';
import { Wake } from '../../agent/claim/wake.ts';
import type { AgentSql, Holder } from '../../db/queries/agent-statement.ts';
import { claimIntent } from '../../db/queries/claim-intent.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { holdHost } from '../../db/queries/hold-host.ts';
import { reportContainers } from '../../db/queries/report-containers.ts';
import { touchHost } from '../../db/queries/touch-host.ts';

/** As in agent/claim. */
const POLL_MS = 15_000;
const HEARTBEAT_MS = 15_000;
const INVENTORY_MS = 30_000;
const CONTAINERS = 5;

export class SimulatedAgent {
  readonly #database: AgentDatabase;
  readonly #wake: Wake;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  readonly #instance = randomUUID();
  readonly #hostId: string;
  readonly #onClaim: (intentId: string) => void;
  #work: Promise<unknown> = Promise.resolve();

  /** @param onClaim called when a claim has come back from Postgres */
  constructor(url: string, hostId: string, onClaim: (intentId: string) => void) {
    this.#hostId = hostId;
    this.#onClaim = onClaim;
    this.#database = new AgentDatabase(url);
    this.#wake = new Wake(
      url,
      hostId,
      pino({ level: 'silent' }),
      () => this.#bell.ring(),
      (lasts) => this.#database.prepareStatements(lasts),
    );
  }

  get listens(): boolean {
    return this.#wake.works;
  }

  async start(): Promise<void> {
    const agent = { instance: this.#instance, bootId: `bench/1/${process.pid}/0`, version: 'bench' };
    if (!(await this.#database.attempt((sql) => holdHost(sql, this.#hostId, agent, null), 60_000)))
      throw new Error('the host was not to be had');
    this.#work = Promise.all([
      this.#claim(),
      this.#every(HEARTBEAT_MS, () => this.#persist((sql) => touchHost(sql, this.#hostId, this.#instance, null))),
      this.#every(INVENTORY_MS, () =>
        this.#persist((sql) => reportContainers(sql, this.#hostId, this.#instance, inventory())),
      ),
    ]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    await this.#wake.stop();
    await this.#database.close();
  }

  async #claim(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const row = await this.#persist((sql) => claimIntent(sql, this.#hostId, this.#instance));
      if (row === undefined) return;
      if (row === null) {
        await this.#bell.wait(jittered(POLL_MS), signal);
        continue;
      }
      this.#onClaim(row.id);
      const holder: Holder = { intentId: row.id, hostId: this.#hostId, leaseEpoch: row.leaseEpoch };
      await this.#persist((sql) => finishIntent(sql, holder, { state: 'succeeded', result: {}, error: null }));
    }
  }

  /** As an agent does: until Postgres answers. Undefined when it is stopped meanwhile. */
  async #persist<T>(work: (sql: AgentSql) => Promise<T>): Promise<T | undefined> {
    const { signal } = this.#stop;
    return this.#database.persist(work, signal).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
  }

  async #every(ms: number, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop;
    // Spread over the pause, as agents that started at different times are.
    await new Bell().wait(Math.random() * ms, signal);
    while (!signal.aborted) {
      await work();
      await new Bell().wait(ms, signal);
    }
  }
}

function inventory() {
  return Array.from({ length: CONTAINERS }, (_, index) => ({
    containerId: `c${index}`,
    workloadId: null,
    name: `c${index}`,
    image: 'web:1',
    imageId: 'sha256:0',
    state: 'running',
    health: null,
    restartPolicy: 'no',
    startedAt: null,
    configuration: null,
  }));
}
