/** The Workers entry in workerd, by `wrangler dev`, as a process of its own. Talks with nobody but loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { keepLog } from './canary.ts';
import { type ControlPlane, controlPlaneEnv } from './control-plane.ts';
import { freePort } from './free-port.ts';
import type { TestDatabase } from './postgres.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const START_TIMEOUT_MS = 120_000;

export async function startWorkerd(
  database: TestDatabase,
  more: Readonly<Record<string, string>> = {},
): Promise<ControlPlane> {
  const env = await controlPlaneEnv(database, more);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-workerd-'));
  const vars = path.join(directory, 'vars');
  fs.writeFileSync(
    vars,
    Object.entries(env)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(''),
    { mode: 0o600 },
  );
  const port = await freePort();
  const wrangler = path.join(
    path.dirname(createRequire(import.meta.url).resolve('wrangler/package.json')),
    'bin/wrangler.js',
  );
  const child = spawn(
    process.execPath,
    [
      wrangler,
      'dev',
      '--local',
      // GET /__scheduled is the cron trigger.
      '--test-scheduled',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--inspector-port',
      String(await freePort()),
      '--env-file',
      vars,
      '--persist-to',
      path.join(directory, 'state'),
      '--show-interactive-dev-session=false',
      '--log-level',
      'warn',
    ],
    {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        CI: 'true',
        WRANGLER_SEND_METRICS: 'false',
        WRANGLER_HIDE_BANNER: 'true',
        WRANGLER_LOG_PATH: path.join(directory, 'logs'),
        // Otherwise asks Cloudflare for the request.cf of this place.
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: database.url,
      },
    },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      log = (log + chunk).slice(-20_000);
      keepLog('workerd', chunk);
    });
  const gone = once(child, 'exit');
  const close = async (): Promise<void> => {
    // workerd and esbuild are children of wrangler: the whole group that was started here.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGTERM');
    await gone;
    // workerd may still write its last files when wrangler has gone.
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  const origin = `http://127.0.0.1:${port}`;
  for (const begin = Date.now(); ; await delay(100)) {
    const answer = await fetch(`${origin}/readyz`)
      .then(async (response) => ({ ok: response.ok, text: await response.text() }))
      .catch(() => undefined);
    if (answer?.ok === true)
      return {
        // `wrangler dev` does, when many connections are opened at once.
        passing503: true,
        origin,
        database,
        env,
        close,
      };
    if (Date.now() - begin > START_TIMEOUT_MS || child.exitCode !== null) {
      await close();
      throw new Error(`wrangler dev did not become ready: ${answer?.text ?? ''}\n${log}`);
    }
  }
}
