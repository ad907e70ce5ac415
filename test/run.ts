/**
 * Runs every test that needs no person: `npm test [-- FILTER…]`, where a filter is a part of a file's path.
 *
 * One PostgreSQL server, one Docker engine and one test image serve the whole run; every test file clones a database of its
 * own. Ends with the closing lines of the test runner, and with its exit code, or 1 if something was left behind,
 * or a secret was found in anything that was written.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RefloatError } from '../db/errors.ts';
import { scanRun } from './helpers/canary.ts';
import { startTestEngine } from './helpers/engine.ts';
import { buildTestImage } from './helpers/image.ts';
import { startTestServer } from './helpers/postgres-server.ts';
import { ensureTestTools } from './helpers/tools.ts';

/** More than cores, since most of them wait most of the time: for an engine, a lease, a browser. */
const CONCURRENCY = 4;

const here = import.meta.dirname;
const filters = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => relative(process.cwd(), join(here, name)))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort();

const undo: (() => Promise<unknown>)[] = [];
try {
  ensureTestTools();
  const server = await startTestServer();
  undo.push(server.stop);
  const engine = await startTestEngine();
  undo.push(engine.stop);
  await buildTestImage(engine.dockerHost);
  process.exitCode = await runTests({
    REFLOAT_TEST_DATABASE_URL: server.url,
    REFLOAT_TEST_DOCKER_HOST: engine.dockerHost,
    DOCKER_HOST: engine.dockerHost,
  });
} catch (error) {
  if (!(error instanceof RefloatError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n${error.hint}\n`);
  process.exitCode = 2;
} finally {
  for (const step of undo.reverse()) await step();
}

/** Passes on what the tests write, and reads along: a secret in it, or in the log of a program that they started, fails the run. */
async function runTests(environment: Record<string, string>): Promise<number> {
  const canaries = mkdtempSync(join(tmpdir(), 'refloat-test-canaries-'));
  undo.push(async () => rmSync(canaries, { recursive: true, force: true }));
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      '--test',
      '--test-reporter=spec',
      `--test-concurrency=${CONCURRENCY}`,
      '--test-timeout=900000',
      ...files,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}),
        ...process.env,
        ...environment,
        REFLOAT_TEST_CANARIES: canaries,
      },
    },
  );
  let output = '';
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const)
    from.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      to.write(text);
    });
  const closed = once(child, 'close');
  const [code] = (await once(child, 'exit')) as [number | null];
  // Something that a test left behind may hold the pipes open.
  await Promise.race([closed, delay(2000)]);
  const leaks = scanRun(canaries, output);
  for (const { source, line, kind } of leaks) process.stderr.write(`LEAK: ${kind} in ${source}, line ${line}\n`);
  return leaks.length > 0 ? 1 : (code ?? 1);
}
