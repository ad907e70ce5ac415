/** The chain of the audit: whole under many writers, and broken by every way to tamper with it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verifyAuditLines } from '../../db/audit-chain.ts';
import { exportAudit } from '../../db/queries/export-audit.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { readAuditHead } from '../../db/queries/read-audit-head.ts';
import { type TestDatabase, testDatabase } from '../helpers/postgres.ts';

const ENTRIES = 8;

async function written(rows = ENTRIES): Promise<TestDatabase> {
  const database = await testDatabase();
  for (let row = 0; row < rows; row++) {
    await insertAudit(database.db, {
      actor: `person:a${row}`,
      action: 'x',
      target: 'Привет "x"\n',
      outcome: row % 2 === 0 ? 'accepted' : 'refused',
      details: { n: row, deep: { z: [1.5, null, 'é'], a: true } },
      ...(row % 3 === 0 ? { code: 'FORBIDDEN', requestId: 'r' } : {}),
    });
  }
  return database;
}

async function lines({ db }: TestDatabase): Promise<string[]> {
  const entries = await exportAudit(db, 0, 10_000);
  return [...entries, { head: await readAuditHead(db) }].map((line) => JSON.stringify(line));
}

test('an export is whole, and so is a later part of it', async () => {
  const all = await lines(await written());
  const verdict = await verifyAuditLines(all);
  assert.deepEqual([verdict.entries, verdict.broken, verdict.last?.seq], [ENTRIES, null, ENTRIES]);
  assert.deepEqual((await verifyAuditLines(all.slice(3))).broken, null);
  assert.equal((await verifyAuditLines([JSON.stringify({ head: { seq: 0, hash: '0'.repeat(64) } })])).broken, null);
});

test('fifty writers at the same moment leave one whole chain', async () => {
  const database = await testDatabase();
  await Promise.all(
    Array.from({ length: 50 }, (_, row) =>
      insertAudit(database.db, { actor: `a${row}`, action: 'x', target: 'x', outcome: 'accepted' }),
    ),
  );
  const verdict = await verifyAuditLines(await lines(database));
  assert.deepEqual([verdict.entries, verdict.broken], [50, null]);
});

describe('somebody who owns the database', () => {
  const tamper = async (change: string) => {
    const database = await written();
    await database.sql.unsafe(`alter table audit disable trigger all; ${change}`);
    return verifyAuditLines(await lines(database));
  };
  const cases: readonly (readonly [string, string, number])[] = [
    ['changes an actor', "update audit set actor = 'nobody' where seq = 3", 3],
    ['changes a time by a microsecond', "update audit set at = at + interval '1 microsecond' where seq = 3", 3],
    ['changes details', `update audit set details = details || '{"n": 99}' where seq = 3`, 3],
    ['takes a code away', 'update audit set code = null where seq = 4', 4],
    ['removes an entry', 'delete from audit where seq = 4', 5],
    [
      'removes an entry and closes the gap',
      'delete from audit where seq = 4; update audit set seq = seq - 1 where seq > 4',
      4,
    ],
    [
      'adds an entry',
      "insert into audit select 9, at, 'nobody', action, target, outcome, code, details, request_id, hash, hash from audit where seq = 8",
      9,
    ],
    [
      'swaps two entries',
      'update audit set seq = -seq where seq in (3, 4); update audit set seq = 7 + seq where seq < 0',
      3,
    ],
    ['cuts the end off', 'delete from audit where seq > 6', 7],
    ['removes the end of the chain', 'delete from audit_head', 9],
    [
      'makes a hash fit, but not the one after',
      "update audit set actor = 'nobody' where seq = 3; update audit a set hash = audit_hash(a) where seq = 3",
      4,
    ],
  ];
  for (const [what, change, seq] of cases)
    test(`${what}: found`, async () => {
      const { broken } = await tamper(change);
      assert.equal(broken?.seq, seq, broken?.why ?? 'nothing was found');
    });

  test('rewrites the end and its record: found by an anchor that was kept', async () => {
    const database = await written();
    const anchor = await readAuditHead(database.db);
    assert.ok(anchor !== null);
    await database.sql.unsafe(
      'alter table audit disable trigger all; delete from audit where seq > 6; update audit_head set seq = 6, hash = (select hash from audit where seq = 6)',
    );
    const all = await lines(database);
    assert.equal((await verifyAuditLines(all)).broken, null, 'without the anchor it cannot be seen');
    assert.equal((await verifyAuditLines(all, [anchor])).broken?.seq, 7);
  });

  test('rewrites everything from an entry on: found by an anchor', async () => {
    const database = await written();
    const anchor = await readAuditHead(database.db);
    assert.ok(anchor !== null);
    await database.sql.unsafe(`alter table audit disable trigger all; delete from audit where seq > 3;
      update audit_head set seq = 3, hash = (select hash from audit where seq = 3); alter table audit enable trigger all`);
    for (let row = 3; row < ENTRIES; row++)
      await insertAudit(database.db, { actor: 'forged', action: 'x', target: 'x', outcome: 'accepted' });
    const all = await lines(database);
    assert.equal((await verifyAuditLines(all)).broken, null);
    assert.equal((await verifyAuditLines(all, [anchor])).broken?.seq, ENTRIES);
  });
});
