/** The PostgreSQL server of a test run. Apart from postgres.ts, which belongs to a test file and ends with it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../functions/cli/embedded-postgres.ts';

/** Starts a server on a temporary directory; also for the runner of all tests, which passes its URL on in REFLOAT_TEST_DATABASE_URL. */
export async function startTestServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-pg-'));
  let server: EmbeddedPostgres;
  try {
    server = await startEmbeddedPostgres({ directory, volatile: true });
  } catch (error) {
    fs.rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return {
    url: server.url,
    stop: async () => {
      await server.stop();
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}
