/**
 * The whole product as its users run it, for end-to-end tests: `refloat up --no-agent` and `refloat-agent` as processes of
 * their own, built by `npm run build`, on a real database and a real engine. Everything is stopped and removed afterwards.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import type { TestEngine } from './engine.ts';
import { testDatabase } from './postgres.ts';

const DIST = join(import.meta.dirname, '../../dist');
const DEADLINE_MS = 120_000;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever JSON came back
  readonly body: any;
}

export interface CommandEnd {
  readonly code: number | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly json: any;
  readonly stderr: string;
}

export interface Stack {
  readonly url: string;
  readonly token: string;
  readonly hostId: string;
  readonly databaseUrl: string;
  readonly stateDir: string;
  readonly volumeBase: string;
  readonly allowedRoot: string;
  call(
    method: string,
    path: string,
    more?: { body?: unknown; headers?: Record<string, string>; token?: string },
  ): Promise<Answer>;
  /** Starts `refloat-agent run`; resolves when it claims. */
  startAgent(environment?: Record<string, string>): Promise<RunningAgent>;
  /** Runs one `refloat-agent` command with `--json`. */
  agent(args: readonly string[], environment?: Record<string, string>): Promise<CommandEnd>;
  /** Runs one `refloat` command with `--json` against this control plane. */
  refloat(args: readonly string[], environment?: Record<string, string>): Promise<CommandEnd>;
  createWorkload(config: Partial<WorkloadConfigInput>): Promise<{ id: string; name: string }>;
  /** Waits until nothing of a workload is under way. */
  settled(workloadId: string): Promise<void>;
  /** Waits for the end of an intent. */
  finished(intentId: string): Promise<Answer['body']>;
}

/** What is needed of an engine; tests that restart theirs bring their own. */
export type StackEngine = Pick<TestEngine, 'dockerHost' | 'image' | 'ownWorkload'>;

export interface RunningAgent {
  readonly pid: number;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stop(): Promise<void>;
  /** What it wrote to standard error so far. */
  log(): string;
}

/**
 * Starts the control plane and enrolls this machine; no agent runs yet.
 * @param options.hostRoot where the host keeps its state and volumes; a temporary directory unless given
 */
export async function startStack(engine: StackEngine, options: { readonly hostRoot?: string } = {}): Promise<Stack> {
  const root = mkdtempSync(join(tmpdir(), 'rfs-'));
  const hostRoot = options.hostRoot ?? root;
  const database = await testDatabase({ empty: true });
  const [stateDir, volumeBase, allowedRoot] = [
    join(hostRoot, 'state'),
    join(hostRoot, 'srv'),
    join(hostRoot, 'allowed'),
  ];
  for (const directory of [stateDir, volumeBase, allowedRoot]) mkdirSync(directory);
  const children = new Set<ChildProcess>();
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: root,
    REFLOAT_STATE_DIR: stateDir,
    REFLOAT_VOLUME_BASE: volumeBase,
    REFLOAT_ALLOWED_ROOTS: allowedRoot,
    DOCKER_HOST: engine.dockerHost,
    REFLOAT_LOG: 'info',
  };
  const start = (program: string, args: readonly string[], more: Record<string, string>) => {
    const child = spawn(process.execPath, [join(DIST, program), ...args], {
      env: { ...environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };
  after(async () => {
    for (const child of children) {
      child.kill('SIGTERM');
      await Promise.race([
        once(child, 'exit'),
        delay(15_000, undefined, { ref: false }).then(() => child.kill('SIGKILL')),
      ]);
    }
    rmSync(root, { recursive: true, force: true });
  });

  const up = start('refloat.js', ['up', '--no-agent', '--json', '--port', '0', '--state-dir', join(root, 'control')], {
    REFLOAT_DATABASE_URL: database.url,
  });
  const ready = JSON.parse(await firstLine(up)) as {
    url: string;
    adminToken: string;
    hostId: string;
    enrollmentToken: string;
  };

  const run = async (program: string, args: readonly string[], more: Record<string, string>): Promise<CommandEnd> => {
    const child = start(program, [...args, '--json'], more);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
    const line = stdout.trim().split('\n').at(-1) ?? '';
    return { code: child.exitCode, json: line.startsWith('{') ? JSON.parse(line) : null, stderr };
  };
  const enrolled = await run('refloat-agent.js', ['enroll', '--api', ready.url, '--token', ready.enrollmentToken], {});
  assert.equal(enrolled.code, 0, enrolled.stderr);

  const stack: Stack = {
    url: ready.url,
    token: ready.adminToken,
    hostId: ready.hostId,
    databaseUrl: database.url,
    stateDir,
    volumeBase,
    allowedRoot,
    async call(method, path, { body, headers = {}, token = ready.adminToken } = {}) {
      const response = await fetch(new URL(path, ready.url), {
        method,
        headers: {
          ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = await response.text();
      return { status: response.status, headers: response.headers, body: answer === '' ? null : JSON.parse(answer) };
    },
    async startAgent(more = {}) {
      const child = start('refloat-agent.js', ['run', '--json'], more);
      let log = '';
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        log = (log + chunk).slice(-65_536);
      });
      const exited = exitOf(child);
      await Promise.race([
        firstLine(child),
        exited.then(({ code }) => assert.fail(`the agent ended with ${code}: ${log}`)),
      ]);
      return {
        pid: child.pid ?? -1,
        exited,
        log: () => log,
        async stop() {
          child.kill('SIGTERM');
          await exited;
        },
      };
    },
    agent: (args, more = {}) => run('refloat-agent.js', args, more),
    refloat: (args, more = {}) =>
      run('refloat.js', args, { REFLOAT_PUBLIC_URL: ready.url, REFLOAT_TOKEN: ready.adminToken, ...more }),
    async createWorkload(config) {
      const name = config.name ?? `w-${Math.random().toString(36).slice(2, 10)}`;
      const body = {
        name,
        project: 'p',
        hostId: ready.hostId,
        image: engine.image,
        network: 'none',
        stopTimeoutSeconds: 5,
        health: { graceSeconds: 0, timeoutSeconds: 20 },
        ...config,
      };
      const { status, body: created } = await stack.call('POST', '/api/workloads', { body });
      assert.equal(status, 201, JSON.stringify(created));
      engine.ownWorkload(created.id);
      return { id: created.id, name };
    },
    async settled(workloadId) {
      const { body } = await stack.call('GET', `/api/intents?workloadId=${workloadId}`);
      for (const { id } of body.intents) await stack.finished(id);
    },
    async finished(intentId) {
      for (const deadline = Date.now() + DEADLINE_MS; ; await delay(20)) {
        const { body } = await stack.call('GET', `/api/intents/${intentId}`);
        if (!['pending', 'claimed', 'running'].includes(body.state)) return body;
        assert.ok(Date.now() < deadline, `the intent ${intentId} is still ${body.state} at ${body.step}`);
      }
    },
  };
  return stack;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let seen = '';
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4096);
  });
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('\n')) resolve(seen.slice(0, seen.indexOf('\n')));
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it was ready: ${seen}${errors}`)));
  });
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode !== null || child.signalCode !== null)
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}
