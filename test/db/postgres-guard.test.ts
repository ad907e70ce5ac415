import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type postgres from 'postgres';
import { guardPostgres } from '../../esbuild.postgres.mjs';
import { testDatabase } from '../helpers/postgres.ts';

const directory = mkdtempSync(join(tmpdir(), 'refloat-guard-'));
after(() => rmSync(directory, { recursive: true }));

test('a query on a reserved connection that the server has closed fails, and the process lives on', async () => {
  const database = await testDatabase();
  const outfile = join(directory, 'postgres.mjs');
  const entry = { contents: "export { default } from 'postgres'", resolveDir: import.meta.dirname };
  await build({ stdin: entry, outfile, bundle: true, platform: 'node', format: 'esm', plugins: [guardPostgres()] });
  const { default: open } = (await import(pathToFileURL(outfile).href)) as { default: typeof postgres };
  const sql = open(database.url, { max: 1, onnotice: () => undefined });
  try {
    const reserved = await sql.reserve();
    const [row] = await reserved`select pg_backend_pid() as pid`;
    await database.sql`select pg_terminate_backend(${row?.['pid']})`;
    await delay(200);
    await assert.rejects(reserved`select 1`, (error: Error & { code?: string }) => error.code === 'CONNECTION_CLOSED');
  } finally {
    await sql.end({ timeout: 1 });
  }
});
