/** The cron trigger of wrangler.toml, in workerd: housekeeping through Hyperdrive. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { rateLimits } from '../../db/schema/index.ts';
import { HOUSEKEEPING_CRON } from '../../functions/housekeeping.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startWorkerd } from '../helpers/workerd.ts';

test('the cron trigger keeps house', async () => {
  const database = await testDatabase();
  const plane = await startWorkerd(database);
  after(() => plane.close());
  const hour = 3_600_000;
  await database.db.insert(rateLimits).values([
    { key: 'past', fullAt: new Date(Date.now() - hour), granted: 1 },
    { key: 'running', fullAt: new Date(Date.now() + hour), granted: 1 },
  ]);
  const answer = await fetch(`${plane.origin}/__scheduled?cron=${encodeURIComponent(HOUSEKEEPING_CRON)}`);
  assert.equal(answer.status, 200, await answer.text());
  assert.deepEqual(
    (await database.db.select().from(rateLimits)).map((row) => row.key),
    ['running'],
  );
});
