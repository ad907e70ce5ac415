/** A control plane under test: any server that answers the API on a test database, and what tests put into that database. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { eq } from 'drizzle-orm';
import pino from 'pino';
import { newId } from '../../db/ids.ts';
import type { IntentState } from '../../db/intent-state.ts';
import type { PersonRow } from '../../db/queries/insert-person.ts';
import type { Role } from '../../db/roles.ts';
import { hosts, intentEvents, intents, snapshots, snapshotVolumes, workloads } from '../../db/schema/index.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../db/workload.ts';
import { createSignInLink, invite } from '../../functions/auth/invite.ts';
import { issueToken } from '../../functions/auth/issue-token.ts';
import { generateKeySet, readKeySet } from '../../functions/auth/key-set.ts';
import { SCOPES_OF_TOKENS } from '../../functions/auth/scopes.ts';
import { beginSession } from '../../functions/auth/session.ts';
import { readServerConfig } from '../../functions/config.ts';
import { startNodeServer } from '../../functions/node.ts';
import { registerCanary } from './canary.ts';
import type { TestDatabase } from './postgres.ts';

export interface ControlPlane {
  /** What runs it drops a connection now and then, to it or to its database; then there is a 503 that asks to come again. */
  readonly passing503?: boolean;
  readonly origin: string;
  readonly database: TestDatabase;
  /** Environment that it runs with. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** @param more settings of this control plane, for example REFLOAT_RATE_LIMITS */
export async function controlPlaneEnv(
  database: TestDatabase,
  more: Readonly<Record<string, string>> = {},
): Promise<Record<string, string>> {
  return {
    REFLOAT_SIGNING_KEYS: await generateKeySet(),
    // The issuers of tests are on this machine.
    REFLOAT_ISSUER_ACCESS: 'loopback',
    REFLOAT_AGENT_DATABASE_URL: `${database.url.replace(/\/\/[^@]*@/, '//')}?application_name=agent`,
    ...more,
  };
}

/** The Node entry, in this process, on a port of its own. */
export async function startNodeControlPlane(
  database: TestDatabase,
  more: Readonly<Record<string, string>> = {},
): Promise<ControlPlane> {
  const env = await controlPlaneEnv(database, more);
  const server = await startNodeServer({
    config: readServerConfig(env),
    databaseUrl: database.url,
    port: 0,
    hostname: '127.0.0.1',
    log: pino({ level: 'silent' }),
  });
  return { origin: `http://127.0.0.1:${server.port}`, database, env, close: () => server.close() };
}

export interface TokenOptions {
  readonly scopes?: readonly string[];
  readonly workloads?: readonly string[];
  readonly subject?: string;
  readonly ttlSeconds?: number;
}

export async function jwtContext(plane: ControlPlane) {
  const config = readServerConfig(plane.env);
  return { keys: await readKeySet(config.signingKeys), issuer: config.issuer, now: () => new Date() };
}

/** A token as the server mints it; all scopes unless told. */
export async function mint(plane: ControlPlane, options: TokenOptions = {}): Promise<{ jwt: string; jti: string }> {
  const { jwt, row } = await issueToken(plane.database.db, await jwtContext(plane), {
    subject: options.subject ?? 'tester',
    scopes: options.scopes ?? SCOPES_OF_TOKENS,
    workloads: options.workloads ?? null,
    createdBy: 'test',
    ttlSeconds: options.ttlSeconds ?? 600,
  });
  registerCanary(jwt.split('.')[2]);
  return { jwt, jti: row.jti };
}

export interface PersonOptions {
  readonly name?: string;
  readonly role?: Role;
  readonly projects?: readonly string[];
}

/** A person; the same again for the same name. */
async function addPerson(plane: ControlPlane, options: PersonOptions = {}): Promise<PersonRow> {
  const { name = `person-${newId()}`, role = 'admin', projects = null } = options;
  return invite(plane.database.db, { name, role, projects, createdBy: 'test' });
}

/** The secret of a sign-in link, for `admin` unless told. */
export async function signInSecret(plane: ControlPlane, options: PersonOptions = { name: 'admin' }): Promise<string> {
  const person = await addPerson(plane, options);
  const { secret } = await createSignInLink(plane.database.db, person, new Date());
  registerCanary(secret);
  return secret;
}

export interface SignedIn {
  readonly person: PersonRow;
  readonly sessionId: string;
  /** What a browser sends with a request that changes something: `cookie` and `origin`. */
  readonly headers: { readonly cookie: string; readonly origin: string };
}

/** A person with a session as the server begins it; `fresh: false` leaves the proof too old. */
export async function signedIn(
  plane: ControlPlane,
  { fresh = true, ...options }: PersonOptions & { readonly fresh?: boolean } = {},
): Promise<SignedIn> {
  const person = await addPerson(plane, options);
  const { id, jwt } = await beginSession(plane.database.db, await jwtContext(plane), {
    personId: person.id,
    proof: { kind: 'passkey', at: fresh ? 'now' : new Date(Date.now() - 301_000) },
    userAgent: 'test',
  });
  return { person, sessionId: id, headers: { cookie: `refloat_session=${jwt}`, origin: plane.origin } };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  readonly body: any;
}

export interface CallOptions {
  readonly token?: string;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const TRIES = 4;
const TRY_AGAIN_MS = 100;

/** One request; where what runs the control plane is known to drop connections, such a 503 is asked again. */
export async function call(
  plane: { readonly origin: string; readonly passing503?: boolean },
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    const answer = await callOnce(plane, method, path, options);
    if (plane.passing503 !== true || tries === TRIES || !wasDropped(answer)) return answer;
    await delay(TRY_AGAIN_MS * tries);
  }
}

/** By the local stand-in for Hyperdrive, or on the way from `wrangler dev` to its Worker, for which it has a text of its own. */
function wasDropped({ status, body }: Answer): boolean {
  return (
    status === 503 && (typeof body === 'string' ? body.includes('mid-request') : body.code === 'DATABASE_UNAVAILABLE')
  );
}

async function callOnce(
  plane: { readonly origin: string },
  method: string,
  path: string,
  options: CallOptions,
): Promise<Answer> {
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const response = await fetch(plane.origin + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

export async function addHost({ database }: ControlPlane): Promise<string> {
  const id = newId();
  await database.db.insert(hosts).values({ id, name: `host-${id.slice(-12)}` });
  return id;
}

export async function addWorkload(
  { database }: ControlPlane,
  hostId: string,
  config: Partial<WorkloadConfigInput> = {},
): Promise<{ id: string; name: string; hostId: string }> {
  const id = newId();
  const parsed = WORKLOAD_CONFIG.parse({
    name: `shop-${id.slice(-12)}`,
    project: 'shop',
    hostId,
    image: 'shop:1',
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/data' }],
    ...config,
  });
  await database.db
    .insert(workloads)
    .values({ id, hostId, name: parsed.name, project: parsed.project, config: parsed });
  return { id, name: parsed.name, hostId };
}

export async function addSnapshot(
  { database }: ControlPlane,
  workload: { readonly id: string; readonly hostId: string },
  more: Partial<typeof snapshots.$inferInsert> = {},
): Promise<string> {
  const id = newId();
  await database.db.insert(snapshots).values({
    id,
    workloadId: workload.id,
    hostId: workload.hostId,
    intentId: randomUUID(),
    kind: 'capture',
    manifestSha256: 'a'.repeat(64),
    image: 'shop:1',
    imageId: `sha256:${'b'.repeat(64)}`,
    capturedAt: new Date(),
    ...more,
  });
  await database.db.insert(snapshotVolumes).values({
    snapshotId: id,
    hostId: workload.hostId,
    name: 'data',
    scope: 'project',
    archiveSha256: 'c'.repeat(64),
    archiveBytes: 100,
    contentBytes: 300,
    entries: 7,
  });
  return id;
}

/** Moves an intent as its agent would, one legal step at a time. */
export async function move(
  { database }: ControlPlane,
  id: string,
  states: readonly IntentState[],
  more: Partial<typeof intents.$inferInsert> = {},
): Promise<void> {
  for (const [index, state] of states.entries()) {
    const last = index === states.length - 1;
    const over = !['claimed', 'running'].includes(state);
    await database.db
      .update(intents)
      .set({ state, ...(over ? { finishedAt: new Date() } : {}), ...(last ? more : {}) })
      .where(eq(intents.id, id));
  }
}

export async function addEvents(
  { database }: ControlPlane,
  intentId: string,
  hostId: string,
  from: number,
  to: number,
): Promise<void> {
  const rows = Array.from({ length: to - from + 1 }, (_, index) => ({
    intentId,
    hostId,
    seq: from + index,
    at: new Date(),
    type: 'step' as const,
    data: { step: 'stage', status: 'done', n: from + index },
  }));
  await database.db.insert(intentEvents).values(rows);
}

export interface StreamEvent {
  readonly id: string | undefined;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of any shape
  readonly data: any;
}

/** Reads server-sent events until `until` says so, or the server ends the stream. */
export async function readEvents(
  plane: { readonly origin: string },
  path: string,
  headers: Record<string, string>,
  until: (event: StreamEvent) => boolean | Promise<boolean> = () => false,
): Promise<{ status: number; events: StreamEvent[] }> {
  const response = await fetch(plane.origin + path, { headers });
  const events: StreamEvent[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = parseEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (event === undefined) continue;
      events.push(event);
      if (await until(event)) {
        // Leaving the loop cancels the body, as a client that goes away does.
        return { status: response.status, events };
      }
    }
  }
  return { status: response.status, events };
}

function parseEvent(block: string): StreamEvent | undefined {
  const fields = new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id'), event: fields.get('event') ?? 'message', data: JSON.parse(data) };
}
