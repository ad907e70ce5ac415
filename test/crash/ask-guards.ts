/** Asks the checks of guards (`guard-checks.ts`), with the guard and without it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { connect } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { claimIntent } from '../../db/queries/claim-intent.ts';
import { readoptIntents } from '../../db/queries/readopt-intents.ts';
import { type PostgresPlace, startPostgresPlace } from '../fault/postgres-place.ts';
import { enrolledHost } from '../helpers/host.ts';
import { bundle, type Change } from './bundle.ts';
import type * as Checks from './guard-checks.ts';
import type { GuardMutant } from './guard-mutant-table.ts';
import type { CaseResult } from './sweep.ts';

export class GuardChecks {
  readonly #directory: string;
  #unchanged: typeof Checks | null = null;
  #postgres: PostgresPlace | null = null;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async run(mutant: GuardMutant): Promise<CaseResult> {
    this.#unchanged ??= await this.#load('unchanged', []);
    const control = await this.#ask(this.#unchanged, mutant);
    if (control !== null)
      return { count: 1, violations: [`noticed although nothing is changed: ${control}`], ended: 'noticed, wrongly' };
    const changed = await this.#load('changed', [mutant]);
    const found = await this.#ask(changed, mutant);
    rmSync(join(this.#directory, 'changed'), { recursive: true });
    if (found !== null) return { count: 1, violations: [], ended: 'noticed' };
    return { count: 1, violations: [`nobody notices the mutant "${mutant.name}"`], ended: 'missed' };
  }

  async close(): Promise<void> {
    await this.#postgres?.close();
  }

  async #load(name: string, changes: readonly Change[]): Promise<typeof Checks> {
    const program = await bundle(join(this.#directory, name), {
      entry: 'test/crash/guard-checks.ts',
      changes,
      isPlain: true,
    });
    // Asked for again under the same path, a module would be the one of before.
    return (await import(`${pathToFileURL(program).href}?${newId()}`)) as typeof Checks;
  }

  /** What the check objects to; null when nothing. */
  async #ask(checks: typeof Checks, { by, check }: GuardMutant): Promise<string | null> {
    try {
      if (by === 'link') await checks.checkLink(check, join(this.#directory, 'links'));
      else await this.#askEpoch(checks, check);
      return null;
    } catch (error) {
      return String(error);
    }
  }

  /** An intent that was claimed, and then taken by an agent that started anew. */
  async #askEpoch(checks: typeof Checks, check: string): Promise<void> {
    this.#postgres ??= await startPostgresPlace(join(this.#directory, 'postgres'));
    const { admin, urlAs } = this.#postgres;
    const host = await enrolledHost({ ...admin, urlAs });
    const instance = newId();
    const workload = await host.addWorkload();
    const snapshotId = newId();
    await admin.sql`update hosts set agent_instance = ${instance}, agent_seen_at = now() where id = ${host.id}`;
    await admin.sql`
      insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
      values (${snapshotId}, ${workload}, ${host.id}, ${newId()}, 'capture', ${'a1'.repeat(32)}, 'i', 'i', now())`;
    const intentId = await host.addIntent('delete', workload, { snapshotId });
    const agent = connect(host.url, { max: 1, applicationName: 'refloat-agent', prepare: false });
    try {
      await claimIntent(agent.sql, host.id, instance);
      const [taken] = await readoptIntents(agent.sql, host.id, instance);
      if (taken === undefined) throw new Error('the intent could not be taken');
      const holder = { intentId, hostId: host.id, leaseEpoch: taken.leaseEpoch };
      await checks.checkEpoch(check, agent.sql, holder, snapshotId);
    } finally {
      await agent.sql.end({ timeout: 1 });
    }
  }
}
