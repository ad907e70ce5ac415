/** A migrated database on a server of its own, for tests that take the server away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { endWithin } from '../../agent/claim/agent-database.ts';
import { connect } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../functions/cli/embedded-postgres.ts';
import type { TestDatabase } from './postgres.ts';

export interface OwnDatabase extends TestDatabase {
  /** Ends the server and every session on it. */
  stop(): Promise<void>;
  /** Starts it again, with what it held, on the same port. */
  start(): Promise<void>;
}

/** Call it at the top of a test file, not in a hook: what it started ends with the file. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const directory = mkdtempSync(join(tmpdir(), 'refloat-test-own-pg-'));
  let server: EmbeddedPostgres | null = await startEmbeddedPostgres({ directory, volatile: true });
  const { url } = server;
  await migrate(url);
  const connection = connect(url, { max: 3, applicationName: 'refloat-test' });
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = null;
  };
  const drop = async (): Promise<void> => {
    await endWithin(connection.sql, 1000);
    await stop();
    rmSync(directory, { recursive: true, force: true });
  };
  after(drop);
  return {
    ...connection,
    url,
    urlAs: (user, password) => {
      const other = new URL(url);
      other.username = user;
      other.password = password;
      return other.href;
    },
    drop,
    stop,
    start: async () => {
      server = await startEmbeddedPostgres({ directory, volatile: true });
    },
  };
}
