/**
 * Tables × verbs × logins × whose row, on real connections. The tables come from the catalogue: one that nobody wrote an
 * expectation for fails.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../db/client.ts';
import { databaseErrorFacts } from '../../db/database-error.ts';
import { newId } from '../../db/ids.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { randomSecret, scramVerifier } from '../../functions/auth/secrets.ts';
import { addEvents, addHost, addSnapshot, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

const database = await testDatabase();
const plane: ControlPlane = { origin: '', database, env: {}, close: () => Promise.resolve() };

/** What there is of one host. */
interface Side {
  readonly hostId: string;
  readonly workloadId: string;
  readonly snapshotId: string;
  /** A claimed `delete` of the snapshot. */
  readonly intentId: string;
}

const VERBS = ['select', 'select for update', 'insert', 'update', 'delete', 'truncate'] as const;
type Verb = (typeof VERBS)[number];

/** A row of one side, and a right that a host has on its own; a verb that is not there is denied to everybody. */
interface Expected {
  readonly where: (side: Side) => string;
  readonly own: Partial<Readonly<Record<Verb, (side: Side) => string>>>;
  /** The row is nobody's: every host that is not revoked may. */
  readonly common?: true;
}

const sha = 'a'.repeat(64);
const select = (table: string, where: Expected['where']) => (side: Side) => `select from ${table} where ${where(side)}`;
const lock = (table: string, where: Expected['where']) => (side: Side) =>
  `select from ${table} where ${where(side)} for no key update`;
const byHost = (side: Side) => `host_id = '${side.hostId}'`;
const anyRow = () => 'true';
const nothing: Expected = { where: anyRow, own: {} };

const EXPECTED: Readonly<Record<string, Expected>> = {
  hosts: {
    where: (side) => `id = '${side.hostId}'`,
    own: {
      select: select('hosts', (side) => `id = '${side.hostId}'`),
      'select for update': lock('hosts', (side) => `id = '${side.hostId}'`),
      update: (side) => `update hosts set agent_seen_at = now() where id = '${side.hostId}'`,
    },
  },
  workloads: { where: byHost, own: { select: select('workloads', byHost) } },
  containers: {
    where: byHost,
    own: {
      select: select('containers', byHost),
      'select for update': lock('containers', byHost),
      insert: (
        side,
      ) => `insert into containers (host_id, container_id, workload_id, name, image, image_id, state, restart_policy)
        values ('${side.hostId}', '${newId()}', '${side.workloadId}', 'c', 'i', 'i', 'running', 'no')`,
      update: (side) => `update containers set state = 'exited' where ${byHost(side)}`,
    },
  },
  snapshots: {
    where: byHost,
    own: {
      select: select('snapshots', byHost),
      'select for update': lock('snapshots', byHost),
      insert: (
        side,
      ) => `insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
        values ('${newId()}', '${side.workloadId}', '${side.hostId}', '${side.intentId}', 'capture', '${sha}', 'i', 'i', now())`,
      update: (side) => `update snapshots set state = 'deleted', deleted_at = now() where id = '${side.snapshotId}'`,
    },
  },
  snapshot_volumes: {
    where: byHost,
    own: {
      select: select('snapshot_volumes', byHost),
      insert: (
        side,
      ) => `insert into snapshot_volumes (snapshot_id, host_id, name, scope, archive_sha256, archive_bytes, content_bytes, entries)
        values ('${side.snapshotId}', '${side.hostId}', '${newId()}', 'project', '${sha}', 1, 1, 1)`,
    },
  },
  intents: {
    where: byHost,
    own: {
      select: select('intents', byHost),
      'select for update': lock('intents', byHost),
      update: (side) => `update intents set lease_until = now() where id = '${side.intentId}'`,
    },
  },
  intent_events: {
    where: byHost,
    own: {
      select: select('intent_events', byHost),
      insert: (side) => `insert into intent_events (intent_id, host_id, seq, at, type, data)
        values ('${side.intentId}', '${side.hostId}', ${randomBytes(3).readUIntBE(0, 3) + 10}, now(), 'step', '{}')`,
    },
  },
  intent_transitions: { where: anyRow, own: { select: select('intent_transitions', anyRow) }, common: true },
  audit: nothing,
  audit_head: nothing,
  challenges: nothing,
  idempotency_keys: nothing,
  issuers: nothing,
  oidc_identities: nothing,
  one_time_links: nothing,
  passkeys: nothing,
  people: nothing,
  rate_limits: nothing,
  schema_migrations: nothing,
  sessions: nothing,
  tokens: nothing,
};

/** Who asks for whose row. */
const ASKERS = ['own host', 'other host', 'revoked host', 'login without a host'] as const;
type Asker = (typeof ASKERS)[number];

const logins = new Map<Asker, { readonly side: Side; readonly connection: Connection }>();
const tables = (
  await database.sql<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') order by 1`
).map(({ name }) => name);
const strayRole = `refloat_test_stray_${randomBytes(5).toString('hex')}`;

before(async () => {
  const [own, other, revoked] = [await makeSide(), await makeSide(), await makeSide()];
  logins.set('own host', { side: own, connection: await login(own) });
  // It asks for the rows of the first one.
  logins.set('other host', { side: own, connection: await login(other) });
  logins.set('revoked host', { side: revoked, connection: await login(revoked) });
  await database.sql`update hosts set revoked_at = now() where id = ${revoked.hostId}`;
  const password = randomSecret();
  await database.sql.unsafe(`create role ${strayRole} login password '${password}' in role refloat_agent`);
  logins.set('login without a host', {
    side: own,
    connection: connect(database.urlAs(strayRole, password), { max: 1 }),
  });
  await insertAudit(database.db, { actor: 'x', action: 'x', target: 'x', outcome: 'accepted' });
  await database.sql`insert into tokens (jti, kind, subject, scopes, created_by, expires_at) values (${newId()}, 'automation', 's', '{}', 'x', now())`;
});
after(async () => {
  for (const { connection } of logins.values()) await connection.close();
  const cleaner = connect(database.url, { max: 1 });
  await cleaner.sql.unsafe(`drop role if exists ${strayRole}`).catch(() => undefined);
  await cleaner.close();
});

async function makeSide(): Promise<Side> {
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const snapshotId = await addSnapshot(plane, workload);
  const intentId = newId();
  await database.sql`insert into intents (id, kind, workload_id, host_id, snapshot_id, requested_by)
    values (${intentId}, 'delete', ${workload.id}, ${hostId}, ${snapshotId}, 'test')`;
  await database.sql`update intents set state = 'claimed' where id = ${intentId}`;
  await addEvents(plane, intentId, hostId, 1, 2);
  await database.sql`insert into containers (host_id, container_id, workload_id, name, image, image_id, state, restart_policy)
    values (${hostId}, 'c', ${workload.id}, 'c', 'i', 'i', 'running', 'no')`;
  return { hostId, workloadId: workload.id, snapshotId, intentId };
}

async function login({ hostId }: Side): Promise<Connection> {
  const password = randomSecret();
  const role = await enrollHost(database.db, hostId, await scramVerifier(password));
  return connect(database.urlAs(role, password), { max: 1 });
}

/** Rows that a statement touched, or the SQLSTATE that refused it. Whatever it did is taken back. */
async function attempt(connection: Connection, statement: string): Promise<number | string> {
  const undo = { touched: 0 };
  try {
    return await connection.sql.begin(async (transaction) => {
      undo.touched = (await transaction.unsafe(statement)).count;
      throw undo;
    });
  } catch (thrown) {
    return thrown === undo ? undo.touched : (databaseErrorFacts(thrown)?.code ?? String(thrown));
  }
}

/** The verb on a row of the side, when it is not one that a host has. */
function forbidden(table: string, verb: Verb, side: Side, columns: readonly string[]): string {
  const where = (EXPECTED[table]?.where ?? anyRow)(side);
  const [first] = columns;
  switch (verb) {
    case 'select':
      return `select * from ${table} where ${where}`;
    case 'select for update':
      return `select * from ${table} where ${where} for update`;
    case 'insert':
      return `insert into ${table} default values`;
    case 'update':
      return `update ${table} set ${first} = ${first} where ${where}`;
    case 'delete':
      return `delete from ${table} where ${where}`;
    case 'truncate':
      return `truncate ${table} cascade`;
    default:
      return verb satisfies never;
  }
}

const DENIED = '42501';
let cases = 0;

test('every table has its expectation, and the suite is as large as it was', () => {
  assert.deepEqual([...tables].sort(), Object.keys(EXPECTED).sort());
  assert.ok(tables.length * VERBS.length * ASKERS.length >= 250);
});

for (const table of tables) {
  const expected = EXPECTED[table] ?? nothing;
  describe(table, async () => {
    const columns = (
      await database.sql<{ name: string }[]>`
        select attname as name from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`
    ).map(({ name }) => name);
    for (const verb of VERBS) {
      const allowed = expected.own[verb];
      for (const asker of ASKERS) {
        test(`${verb} by ${asker}`, async () => {
          cases += 1;
          const { side, connection } = logins.get(asker) ?? assert.fail();
          const statement = allowed?.(side) ?? forbidden(table, verb, side, columns);
          const found = await attempt(connection, statement);
          if (allowed === undefined) assert.equal(found, DENIED, statement);
          else if (asker === 'own host' || expected.common === true)
            assert.ok(typeof found === 'number' && found > 0, `${found}: ${statement}`);
          // What cannot be seen is not there; what would be made for somebody else is refused.
          else assert.equal(found, verb === 'insert' ? DENIED : 0, statement);
        });
      }
    }

    test('each column by itself: a host changes those that its agent writes, and no other', async () => {
      const { side, connection } = logins.get('own host') ?? assert.fail();
      const granted = await database.sql<{ name: string }[]>`
        select attname as name from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
          and has_column_privilege('refloat_agent', attrelid, attnum, 'update')`;
      const may = new Set(granted.map(({ name }) => name));
      for (const column of columns.filter((name) => !may.has(name))) {
        cases += 1;
        const statement = `update ${table} set ${column} = null where ${expected.where(side)}`;
        assert.equal(await attempt(connection, statement), DENIED, statement);
      }
      assert.equal(may.size > 0, expected.own.update !== undefined);
    });
  });
}

describe("what belongs to a host's own rows and is still not its to do", () => {
  const refusals: readonly [string, (own: Side, other: Side) => string, string][] = [
    [
      'a snapshot for an intent of another host',
      (own, other) => snapshotFor(own.hostId, own.workloadId, other.intentId),
      DENIED,
    ],
    ['a snapshot for an intent that there is not', (own) => snapshotFor(own.hostId, own.workloadId, newId()), DENIED],
    [
      "a snapshot of another host's workload",
      (own, other) => snapshotFor(own.hostId, other.workloadId, own.intentId),
      DENIED,
    ],
    [
      'a snapshot in the name of another host',
      (own, other) => snapshotFor(other.hostId, own.workloadId, own.intentId),
      DENIED,
    ],
    [
      'a container shown with a workload of another host',
      (
        own,
        other,
      ) => `insert into containers (host_id, container_id, workload_id, name, image, image_id, state, restart_policy)
        values ('${own.hostId}', 'evil', '${other.workloadId}', 'c', 'i', 'i', 'running', 'no')`,
      DENIED,
    ],
    ['a container moved there', (_own, other) => `update containers set workload_id = '${other.workloadId}'`, DENIED],
    [
      "an event of another host's intent",
      (own, other) => `insert into intent_events (intent_id, host_id, seq, at, type, data)
        values ('${other.intentId}', '${own.hostId}', 99, now(), 'step', '{}')`,
      DENIED,
    ],
    [
      "a volume of another host's snapshot",
      (own, other) => `insert into snapshot_volumes
        (snapshot_id, host_id, name, scope, archive_sha256, archive_bytes, content_bytes, entries)
        values ('${other.snapshotId}', '${own.hostId}', 'evil', 'project', '${sha}', 1, 1, 1)`,
      DENIED,
    ],
    [
      'a deletion that nobody asked for',
      (own) => `update snapshots set state = 'deleted' where id <> '${own.snapshotId}'`,
      DENIED,
    ],
    [
      'a snapshot that stays complete',
      (own) => `update snapshots set deleted_at = now() where id = '${own.snapshotId}'`,
      DENIED,
    ],
    ['an epoch that falls', (own) => `update intents set lease_epoch = -1 where id = '${own.intentId}'`, '23514'],
    [
      'a move that is in no table',
      (own) => `update intents set state = 'pending' where id = '${own.intentId}'`,
      '23514',
    ],
    [
      'the end of an intent that it never claimed',
      () => `update intents set state = 'failed' where state = 'pending'`,
      '23514',
    ],
    ['a word on an intent that is over', () => `update intents set result = '{}' where state = 'failed'`, '23514'],
    [
      'a commit point that was not passed after all',
      () => `update intents set committed_at = null where committed_at is not null`,
      '23514',
    ],
  ];
  before(async () => {
    const { side } = logins.get('own host') ?? assert.fail();
    const add = (id: string) => database.sql`insert into intents (id, kind, workload_id, host_id, requested_by)
      values (${id}, 'plan', ${side.workloadId}, ${side.hostId}, 'test')`;
    const [over, committed] = [newId(), newId()];
    for (const id of [newId(), over, committed]) await add(id);
    await database.sql`update intents set state = 'failed' where id = ${over}`;
    await database.sql`update intents set state = 'claimed', committed_at = now() where id = ${committed}`;
    const more = await addSnapshot(plane, { id: side.workloadId, hostId: side.hostId });
    assert.ok(more);
  });
  for (const [what, statement, code] of refusals) {
    test(what, async () => {
      cases += 1;
      const { side: own, connection } = logins.get('own host') ?? assert.fail();
      const { side: other } = logins.get('revoked host') ?? assert.fail();
      assert.equal(await attempt(connection, statement(own, other)), code, statement(own, other));
    });
  }
});

function snapshotFor(hostId: string, workloadId: string, intentId: string): string {
  return `insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
    values ('${newId()}', '${workloadId}', '${hostId}', '${intentId}', 'pre-restore', '${sha}', 'i', 'i', now())`;
}

test('a snapshot that is deleted stays so, whoever asks', async () => {
  const { side } = logins.get('own host') ?? assert.fail();
  const id = await addSnapshot(
    plane,
    { id: side.workloadId, hostId: side.hostId },
    { state: 'deleted', deletedAt: new Date() },
  );
  await assert.rejects(async () => database.sql`update snapshots set state = 'complete' where id = ${id}`, {
    code: '23514',
  });
});

after(() => assert.ok(cases >= 250, `${cases} cases`));
