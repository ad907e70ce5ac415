/** The control plane while its database is away: it says so, stays up, and works again without a restart. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { connect } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import { startEmbeddedPostgres } from '../../functions/cli/embedded-postgres.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  call,
  mint,
  readEvents,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-away-'));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

test('503 with a code while the database is away, then as before; an event stream survives the gap', async () => {
  let server = await startEmbeddedPostgres({ directory, volatile: true });
  await migrate(server.url);
  const connection = connect(server.url, { max: 2 });
  const plane = await startNodeControlPlane({
    ...connection,
    url: server.url,
    urlAs: () => '',
    drop: () => Promise.resolve(),
  });
  try {
    const token = (await mint(plane)).jwt;
    const workload = await addWorkload(plane, await addHost(plane));
    const snapshotId = await addSnapshot(plane, workload);
    const restore = () =>
      call(plane, 'POST', `/api/workloads/${workload.id}/snapshots/${snapshotId}/restore`, {
        token,
        headers: { 'x-confirm-restore': workload.name },
      });
    const intent = (await restore()).body;
    let opened: () => void = () => undefined;
    const streaming = new Promise<void>((resolve) => (opened = resolve));
    const stream = readEvents(plane, `/api/intents/${intent.id}/events`, { authorization: `Bearer ${token}` }, () => {
      opened();
      return false;
    });
    await streaming;
    await server.stop();
    const refused = await restore();
    assert.deepEqual([refused.status, refused.body.code], [503, 'DATABASE_UNAVAILABLE']);
    assert.ok(refused.headers.has('retry-after'));
    assert.equal((await call(plane, 'GET', '/readyz')).status, 503);
    assert.equal((await call(plane, 'GET', '/healthz')).status, 200);
    server = await startEmbeddedPostgres({ directory, volatile: true });
    const again = await restore();
    assert.deepEqual([again.status, again.body.intentId], [409, intent.id]);
    await call(plane, 'POST', `/api/intents/${intent.id}/cancel`, { token });
    const { events } = await stream;
    assert.deepEqual([events.at(-1)?.event, events.at(-1)?.data.state], ['end', 'cancelled']);
  } finally {
    await plane.close();
    await connection.close();
    await server.stop();
  }
});
