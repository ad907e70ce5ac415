/**
 * `npm run bench -- api [--pairs N] [--seconds N] [--claims N] [--agents N] [--only http|claim|fleet] [--json]`: requests per second and
 * p99 of the API over a bare route; from the commit of an intent to its claim beside graphile-worker; many agents on one server.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import { startEmbeddedPostgres } from '../../functions/cli/embedded-postgres.ts';
import type { TestDatabase } from '../helpers/postgres.ts';
import { type ClaimRow, type FleetRow, measureClaim, measureFleet } from './api-claim.ts';
import { type HttpRow, measureHttp } from './api-http.ts';
import { median } from './quantile.ts';

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const number = (name: string, fallback: number): number => Number(option(name) ?? fallback);
  const only = option('--only');
  const wanted = (part: string): boolean => only === undefined || only === part;
  const result: { http?: HttpRow[]; claim?: ClaimRow; fleet?: FleetRow } = {};
  await withServer(async (database) => {
    // Each part is told as soon as it is measured: a later one that fails takes nothing away.
    const tell = (part: typeof result): void => {
      Object.assign(result, part);
      if (!args.includes('--json')) process.stdout.write(report(part));
    };
    if (wanted('claim')) tell({ claim: await measureClaim(database, number('--claims', 300)) });
    if (wanted('http')) tell({ http: await measureHttp(database, number('--pairs', 5), number('--seconds', 8)) });
    if (wanted('fleet'))
      tell({ fleet: await measureFleet(database, number('--agents', 1000), number('--claims', 300)) });
  });
  if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ ok: true, ...result })}\n`);
}

/** A durable server of its own, with room for a fleet's connections. */
async function withServer(work: (database: TestDatabase) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'refloat-bench-api-'));
  const server = await startEmbeddedPostgres({ directory, maxConnections: 2500 });
  try {
    await migrate(server.url);
    const connection = connect(server.url, { max: 5, applicationName: 'refloat-bench' });
    try {
      const urlAs = (user: string, password: string): string => {
        const url = new URL(server.url);
        [url.username, url.password] = [user, password];
        return url.href;
      };
      await work({ ...connection, url: server.url, urlAs, drop: () => Promise.resolve() });
    } finally {
      await connection.close();
    }
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function report({ http, claim, fleet }: { http?: HttpRow[]; claim?: ClaimRow; fleet?: FleetRow }): string {
  const lines: string[] = [];
  for (const { name, pairs } of http ?? []) {
    const ratio = median(pairs.map(({ api, bare }) => api.perSecond / bare.perSecond));
    const figure = (who: 'api' | 'bare') =>
      `${median(pairs.map((pair) => pair[who].perSecond)).toFixed(0)}/s, p99 ${median(pairs.map((pair) => pair[who].p99Ms)).toFixed(1)} ms`;
    lines.push(`${name}: ${figure('api')}; bare route ${figure('bare')}; ratio ${ratio.toFixed(2)} (target 0.80)`);
  }
  const times = ({ p50, p99 }: { p50: number; p99: number }) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  if (claim !== undefined)
    lines.push(`commit to claim: idle agent ${times(claim.agent)}; graphile-worker ${times(claim.graphileWorker)}`);
  if (fleet !== undefined) {
    lines.push(
      `${fleet.agents} agents: claim ${times(fleet.claim)}; ${fleet.connections} connections; idle ${fleet.statementsPerSecond.toFixed(0)} transactions/s, ` +
        `${fleet.serverCpuPercent.toFixed(0)} % of a core; ${fleet.memoryMiBPerAgent.toFixed(1)} MiB of the server for each; started in ${fleet.startSeconds.toFixed(0)} s`,
    );
  }
  return `${lines.join('\n')}\n`;
}
