/** What every runtime of the control plane must answer; run against Node and against workerd. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { and, eq } from 'drizzle-orm';
import { generateKeyPair, SignJWT } from 'jose';
import { newId } from '../../db/ids.ts';
import { audit, intents, tokens, workloads } from '../../db/schema/index.ts';
import { SCOPES_OF_TOKENS } from '../../functions/auth/scopes.ts';
import {
  addEvents,
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  jwtContext,
  mint,
  move,
  readEvents,
  signedIn,
  signInSecret,
} from '../helpers/control-plane.ts';
import { headerCases } from './header-cases.ts';
import { pageCases } from './page-cases.ts';
import { valueCases } from './value-cases.ts';

const UNKNOWN = '01900000-0000-7000-8000-000000000000';

export function contractSuite(name: string, start: () => Promise<ControlPlane>): void {
  describe(name, () => {
    let plane: ControlPlane;
    let admin: string;
    let hostId: string;
    before(async () => {
      plane = await start();
      admin = (await mint(plane)).jwt;
      hostId = await addHost(plane);
    });
    after(async () => {
      await plane.close();
    });

    /** A workload with a snapshot, and a call that restores it. */
    async function restorable(config: Parameters<typeof addWorkload>[2] = {}) {
      const workload = await addWorkload(plane, hostId, config);
      const snapshotId = await addSnapshot(plane, workload);
      const path = `/api/workloads/${workload.id}/snapshots/${snapshotId}/restore`;
      const restore = (headers: Record<string, string> = {}, token = admin) =>
        call(plane, 'POST', path, { token, headers: { 'x-confirm-restore': workload.name, ...headers } });
      return { workload, snapshotId, path, restore };
    }

    test('a restore answers 202 with the intent and where it is', async () => {
      const { workload, snapshotId, restore } = await restorable();
      const answer = await restore();
      assert.equal(answer.status, 202);
      assert.equal(answer.headers.get('location'), `/api/intents/${answer.body.id}`);
      assert.equal(answer.body.kind, 'restore');
      assert.equal(answer.body.state, 'pending');
      assert.equal(answer.body.workloadId, workload.id);
      assert.equal(answer.body.snapshotId, snapshotId);
      assert.equal(answer.body.hostId, hostId);
      assert.equal(answer.body.requestedBy, 'tester');
      const got = await call(plane, 'GET', answer.headers.get('location') ?? '', { token: admin });
      assert.deepEqual(got.body, answer.body);
    });

    test('the refusals of a restore come with exactly these statuses, codes and hints', async () => {
      const { workload, path, restore } = await restorable();
      const other = await restorable();
      const instance = await restorable({
        volumes: [{ name: 'scratch', scope: 'instance', source: '', target: '/s' }],
      });
      const compose = await restorable({ source: 'compose' });
      const bare = await restorable({ volumes: [] });
      const deleted = await addSnapshot(plane, workload, { state: 'deleted', deletedAt: new Date() });
      const confirmed = { 'x-confirm-restore': workload.name };
      const reader = (await mint(plane, { scopes: SCOPES_OF_TOKENS.filter((scope) => scope !== 'restores:create') }))
        .jwt;
      const elsewhere = (await mint(plane, { workloads: [other.workload.id] })).jwt;
      const restoreOf = (id: string, sid: string) => `/api/workloads/${id}/snapshots/${sid}/restore`;
      const table: [string, Promise<Awaited<ReturnType<typeof call>>>, number, string][] = [
        ['no credential', call(plane, 'POST', path, { headers: confirmed }), 401, 'UNAUTHENTICATED'],
        ['a bad credential', call(plane, 'POST', path, { headers: confirmed, token: 'x.y.z' }), 401, 'UNAUTHENTICATED'],
        ['no scope', call(plane, 'POST', path, { headers: confirmed, token: reader }), 403, 'FORBIDDEN'],
        [
          'a token for another workload',
          call(plane, 'POST', path, { headers: confirmed, token: elsewhere }),
          403,
          'FORBIDDEN',
        ],
        [
          'unknown workload',
          call(plane, 'POST', restoreOf(UNKNOWN, other.snapshotId), { headers: confirmed, token: admin }),
          404,
          'WORKLOAD_NOT_FOUND',
        ],
        [
          'an id that is none',
          call(plane, 'POST', restoreOf('shop', 'latest'), { headers: confirmed, token: admin }),
          404,
          'NOT_FOUND',
        ],
        [
          'unknown snapshot',
          call(plane, 'POST', restoreOf(workload.id, UNKNOWN), { headers: confirmed, token: admin }),
          404,
          'SNAPSHOT_NOT_FOUND',
        ],
        [
          "another workload's snapshot",
          call(plane, 'POST', restoreOf(workload.id, other.snapshotId), { headers: confirmed, token: admin }),
          404,
          'SNAPSHOT_NOT_FOUND',
        ],
        [
          'unknown snapshot, not confirmed',
          call(plane, 'POST', restoreOf(workload.id, UNKNOWN), { token: admin }),
          404,
          'SNAPSHOT_NOT_FOUND',
        ],
        ['not confirmed', call(plane, 'POST', path, { token: admin }), 428, 'CONFIRMATION_MISSING'],
        [
          'confirmed with another name',
          restore({ 'x-confirm-restore': other.workload.name }),
          412,
          'CONFIRMATION_MISMATCH',
        ],
        [
          'confirmed with the name in other letters',
          restore({ 'x-confirm-restore': workload.name.toUpperCase() }),
          412,
          'CONFIRMATION_MISMATCH',
        ],
        ['source not image', compose.restore(), 422, 'SOURCE_NOT_IMAGE'],
        ['scope instance', instance.restore(), 422, 'SCOPE_UNSUPPORTED'],
        ['no volumes', bare.restore(), 422, 'NO_VOLUMES'],
        [
          'a deleted snapshot',
          call(plane, 'POST', restoreOf(workload.id, deleted), { headers: confirmed, token: admin }),
          422,
          'SNAPSHOT_DELETED',
        ],
        [
          'a body that is not JSON',
          call(plane, 'POST', path, { headers: confirmed, token: admin, raw: '{"notAfter":' }),
          400,
          'BAD_REQUEST',
        ],
        [
          'a body of another type',
          call(plane, 'POST', path, {
            headers: { ...confirmed, 'content-type': 'text/csv' },
            token: admin,
            raw: 'a,b',
          }),
          415,
          'UNSUPPORTED_MEDIA_TYPE',
        ],
        [
          'an unknown member',
          call(plane, 'POST', path, { headers: confirmed, token: admin, body: { force: true } }),
          422,
          'VALIDATION_FAILED',
        ],
      ];
      for (const [what, pending, status, code] of table) {
        const answer = await pending;
        assert.deepEqual([answer.status, answer.body.code], [status, code], what);
        assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, what);
        assert.ok(answer.body.detail.length > 0 && answer.body.hint.length > 0, what);
      }
      assert.match((await instance.restore()).body.detail, /"scratch"/);
      const rows = await plane.database.db.select().from(intents).where(eq(intents.workloadId, workload.id));
      assert.equal(rows.length, 0, 'no refused request left an intent');
    });

    for (const kind of ['deploy', 'capture', 'restore', 'undo', 'delete'] as const) {
      test(`a restore while a ${kind} is under way answers 409 with its id, and works when it is over`, async () => {
        const { workload, restore } = await restorable();
        const id = newId();
        await plane.database.db
          .insert(intents)
          .values({ id, kind, workloadId: workload.id, hostId, requestedBy: 'other' });
        for (const state of ['pending', 'claimed', 'running'] as const) {
          if (state !== 'pending') await move(plane, id, [state]);
          const refused = await restore();
          assert.deepEqual(
            [refused.status, refused.body.code, refused.body.intentId],
            [409, 'INTENT_UNDER_WAY', id],
            state,
          );
        }
        await move(plane, id, ['failed']);
        assert.equal((await restore()).status, 202);
      });
    }

    test('twenty restores at the same moment: one 202, and nineteen 409 that name it', async () => {
      const { restore } = await restorable();
      const answers = await Promise.all(Array.from({ length: 20 }, () => restore()));
      const [accepted, ...refused] = answers.toSorted((a, b) => a.status - b.status);
      assert.deepEqual(
        [accepted, ...refused].map((answer) => answer?.status),
        [202, ...Array.from({ length: 19 }, () => 409)],
        JSON.stringify(answers.find(({ status }) => status !== 202 && status !== 409)?.body),
      );
      for (const answer of refused) assert.equal(answer.body.intentId, accepted?.body.id);
    });

    test('a plan is possible while a restore is under way', async () => {
      const { workload, snapshotId, restore } = await restorable();
      assert.equal((await restore()).status, 202);
      const plan = await call(plane, 'POST', `/api/workloads/${workload.id}/snapshots/${snapshotId}/plan`, {
        token: admin,
      });
      assert.deepEqual([plan.status, plan.body.kind], [202, 'plan']);
    });

    test('a stuck intent keeps everything else away until it is resolved', async () => {
      const { restore } = await restorable();
      const first = await restore();
      await move(plane, first.body.id, ['claimed', 'running', 'stuck']);
      const refused = await restore();
      assert.deepEqual(
        [refused.status, refused.body.code, refused.body.intentId],
        [409, 'WORKLOAD_STUCK', first.body.id],
      );
      await move(plane, first.body.id, ['rolled_back']);
      assert.equal((await restore()).status, 202);
    });

    test('ten requests with one Idempotency-Key at the same moment make one intent and get one answer', async () => {
      const { workload, restore } = await restorable();
      const key = randomUUID();
      const answers = await Promise.all(Array.from({ length: 10 }, () => restore({ 'idempotency-key': key })));
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([202]));
      assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
      assert.equal(new Set(answers.map((answer) => answer.headers.get('location'))).size, 1);
      const rows = await plane.database.db.select().from(intents).where(eq(intents.workloadId, workload.id));
      assert.equal(rows.length, 1);
      await move(plane, answers[0]?.body.id, ['cancelled']);
      const late = await restore({ 'idempotency-key': key });
      assert.deepEqual(
        [late.status, late.body.id, late.headers.get('idempotency-replayed')],
        [202, answers[0]?.body.id, 'true'],
      );
    });

    test('an Idempotency-Key repeats a 409, and is refused for another request or with bad characters', async () => {
      const { workload, restore } = await restorable();
      const first = await restore();
      const key = randomUUID();
      const refused = await restore({ 'idempotency-key': key });
      await move(plane, first.body.id, ['failed']);
      const again = await restore({ 'idempotency-key': key });
      assert.deepEqual([again.status, again.body], [409, refused.body]);
      const other = await call(plane, 'POST', `/api/workloads/${workload.id}/snapshots`, {
        token: admin,
        headers: { 'idempotency-key': key },
      });
      assert.deepEqual([other.status, other.body.code], [422, 'IDEMPOTENCY_KEY_REUSED']);
      assert.equal((await restore({ 'idempotency-key': 'x'.repeat(256) })).status, 400);
    });

    test('an Idempotency-Key repeats the 202 whatever became of workload and snapshot meanwhile', async () => {
      const { workload, snapshotId, restore } = await restorable();
      const key = { 'idempotency-key': randomUUID() };
      const first = await restore(key);
      const { body: found } = await call(plane, 'GET', `/api/workloads/${workload.id}`, { token: admin });
      const changed = { ...found.config, name: `renamed-${randomUUID()}`, source: 'compose', volumes: [] };
      const put = await call(plane, 'PUT', `/api/workloads/${workload.id}`, { token: admin, body: changed });
      assert.equal(put.status, 200, JSON.stringify(put.body));
      await plane.database.sql`update snapshots set state = 'deleted' where id = ${snapshotId}`;
      const again = await restore(key);
      assert.deepEqual([again.status, again.body], [202, first.body]);
      assert.equal((await restore()).status, 412, 'another request meets what is there now');
    });

    test('the key of a request that was refused before it began is free', async () => {
      const { path, restore } = await restorable();
      const key = randomUUID();
      assert.equal(
        (await call(plane, 'POST', path, { token: admin, headers: { 'idempotency-key': key } })).status,
        428,
      );
      assert.equal((await restore({ 'idempotency-key': key })).status, 202);
    });

    test('keys of different people do not meet', async () => {
      const { restore } = await restorable();
      const key = randomUUID();
      const first = await restore({ 'idempotency-key': key });
      const other = await restore({ 'idempotency-key': key }, (await mint(plane, { subject: 'somebody else' })).jwt);
      assert.deepEqual([first.status, other.status], [202, 409]);
    });

    test('capture, deploy and delete refuse what they cannot handle', async () => {
      const compose = await restorable({ source: 'compose' });
      const ephemeral = await restorable({ volumes: [{ name: 'tmp', scope: 'ephemeral', source: '', target: '/t' }] });
      const capture = (id: string) => call(plane, 'POST', `/api/workloads/${id}/snapshots`, { token: admin });
      const deploy = (id: string, body?: unknown) =>
        call(plane, 'POST', `/api/workloads/${id}/deploy`, { token: admin, body });
      assert.equal((await capture(compose.workload.id)).body.code, 'SOURCE_NOT_IMAGE');
      assert.equal((await capture(ephemeral.workload.id)).body.code, 'SCOPE_UNSUPPORTED');
      assert.equal((await capture(UNKNOWN)).status, 404);
      assert.equal((await deploy(compose.workload.id)).status, 422);
      const deployed = await deploy(ephemeral.workload.id, { reference: 'shop:2' });
      assert.deepEqual([deployed.status, deployed.body.params], [202, { reference: 'shop:2' }]);
      assert.equal((await deploy(ephemeral.workload.id)).status, 409);
    });

    test('the last copy of a previous state cannot be deleted before its undo window ends', async () => {
      const { workload, snapshotId } = await restorable();
      const until = new Date(Date.now() + 3_600_000);
      const kept = await addSnapshot(plane, workload, { kind: 'pre-restore', protectedUntil: until });
      const path = (id: string) => `/api/workloads/${workload.id}/snapshots/${id}`;
      const refused = await call(plane, 'DELETE', path(kept), { token: admin });
      assert.deepEqual([refused.status, refused.body.code], [409, 'SNAPSHOT_PROTECTED']);
      assert.ok(refused.body.hint.includes(until.toISOString()));
      const gone = await addSnapshot(plane, workload, {
        kind: 'pre-restore',
        protectedUntil: new Date(Date.now() - 1000),
      });
      const accepted = await call(plane, 'DELETE', path(gone), { token: admin });
      assert.deepEqual([accepted.status, accepted.body.kind, accepted.body.snapshotId], [202, 'delete', gone]);
      assert.equal(
        (await call(plane, 'DELETE', path(snapshotId), { token: admin })).status,
        409,
        'another delete is under way',
      );
    });

    test('undo: only the newest restore that succeeded, confirmed, while its previous state is kept', async () => {
      const { workload, restore } = await restorable();
      const undo = (id: string, headers: Record<string, string> = { 'x-confirm-restore': workload.name }) =>
        call(plane, 'POST', `/api/intents/${id}/undo`, { token: admin, headers });
      const held = { result: { held: [{ volume: 'data', live: '/a', previous: '/b' }] } };
      const first = (await restore()).body.id as string;
      const early = await undo(first);
      assert.deepEqual([early.body.code, early.body.intentId], ['NOT_UNDOABLE', first], 'still pending');
      await move(plane, first, ['claimed', 'running', 'succeeded'], held);
      assert.equal((await undo(first, {})).status, 428);
      assert.equal((await undo(first, { 'x-confirm-restore': 'shop' })).status, 412);
      assert.equal((await undo(UNKNOWN)).status, 404);
      const second = (await restore()).body.id as string;
      assert.equal((await undo(first)).body.code, 'INTENT_UNDER_WAY', 'another restore is under way');
      await move(plane, second, ['claimed', 'running', 'rolled_back']);
      const undone = await undo(first);
      assert.deepEqual([undone.status, undone.body.kind, undone.body.undoOf], [202, 'undo', first]);
      await move(plane, undone.body.id, ['claimed', 'running', 'succeeded'], { result: {} });
      const late = await undo(first);
      assert.deepEqual([late.status, late.body.code, late.body.newestIntentId], [409, 'NOT_UNDOABLE', undone.body.id]);
      assert.equal(late.body.intentId, undone.body.id, 'the one that is in the way');
      assert.equal((await undo(undone.body.id)).body.code, 'NOT_UNDOABLE', 'nothing is kept');
      await addSnapshot(plane, workload, { kind: 'pre-restore', intentId: undone.body.id });
      const redone = await undo(undone.body.id);
      assert.deepEqual([redone.status, redone.body.undoOf], [202, undone.body.id]);
    });

    test('undo after the window: not of trees that are gone by then, but of those that no snapshot could be made of', async () => {
      const { workload, restore } = await restorable();
      const undo = (id: string) =>
        call(plane, 'POST', `/api/intents/${id}/undo`, {
          token: admin,
          headers: { 'x-confirm-restore': workload.name },
        });
      const over = { held: [{ volume: 'data', live: '/a', previous: '/b' }], undoUntil: '2020-01-01T00:00:00.000Z' };
      const gone = (await restore()).body.id as string;
      await move(plane, gone, ['claimed', 'running', 'succeeded'], {
        result: { ...over, preRestoreSnapshotId: UNKNOWN },
      });
      assert.equal((await undo(gone)).body.code, 'NOT_UNDOABLE');
      const kept = (await restore()).body.id as string;
      await move(plane, kept, ['claimed', 'running', 'succeeded'], { result: over });
      assert.equal((await undo(kept)).status, 202);
    });

    test('cancel: at once before the claim, by request until the commit point, never after it', async () => {
      const { restore } = await restorable();
      const cancel = (id: string) => call(plane, 'POST', `/api/intents/${id}/cancel`, { token: admin });
      const pending = await cancel((await restore()).body.id);
      assert.deepEqual([pending.status, pending.body.state], [202, 'cancelled']);
      assert.notEqual(pending.body.finishedAt, null);
      assert.equal((await cancel(pending.body.id)).body.code, 'ALREADY_FINISHED');
      const running = (await restore()).body.id as string;
      await move(plane, running, ['claimed', 'running']);
      const asked = await cancel(running);
      assert.deepEqual([asked.status, asked.body.state], [202, 'running']);
      assert.notEqual(asked.body.cancelRequestedAt, null);
      assert.equal((await cancel(running)).body.cancelRequestedAt, asked.body.cancelRequestedAt, 'asked twice');
      await plane.database.db.update(intents).set({ committedAt: new Date() }).where(eq(intents.id, running));
      const late = await cancel(running);
      assert.deepEqual([late.status, late.body.code, late.body.intentId], [409, 'PAST_COMMIT_POINT', running]);
      assert.equal((await cancel(UNKNOWN)).status, 404);
    });

    test('each route asks for exactly its scope', async () => {
      const { workload, snapshotId, restore } = await restorable();
      const intentId = (await restore()).body.id as string;
      const w = `/api/workloads/${workload.id}`;
      const s = `${w}/snapshots/${snapshotId}`;
      const routes: [string, string, (typeof SCOPES_OF_TOKENS)[number]][] = [
        ['GET', '/api/hosts', 'hosts:read'],
        ['POST', '/api/hosts', 'hosts:write'],
        ['POST', `/api/hosts/${UNKNOWN}/enrollment`, 'hosts:write'],
        ['DELETE', `/api/hosts/${UNKNOWN}`, 'hosts:write'],
        ['GET', '/api/workloads', 'workloads:read'],
        ['GET', w, 'workloads:read'],
        ['PUT', w, 'workloads:write'],
        ['POST', '/api/workloads', 'workloads:write'],
        ['POST', '/api/workloads/adopt', 'workloads:write'],
        ['POST', `${w}/deploy`, 'workloads:deploy'],
        ['GET', `${w}/snapshots`, 'snapshots:read'],
        ['GET', s, 'snapshots:read'],
        ['POST', `${w}/snapshots`, 'snapshots:capture'],
        ['POST', `${w}/imports`, 'snapshots:capture'],
        ['DELETE', s, 'snapshots:delete'],
        ['POST', `${s}/plan`, 'snapshots:read'],
        ['POST', `${s}/verify`, 'snapshots:read'],
        ['POST', `${s}/restore`, 'restores:create'],
        ['POST', `/api/intents/${intentId}/undo`, 'restores:create'],
        ['POST', `/api/intents/${UNKNOWN}/cancel`, 'restores:create'],
        ['GET', '/api/intents', 'intents:read'],
        ['GET', `/api/intents/${intentId}`, 'intents:read'],
        ['GET', `/api/intents/${UNKNOWN}/events`, 'intents:read'],
        ['GET', '/api/tokens', 'tokens:write'],
        ['POST', '/api/tokens', 'tokens:write'],
        ['DELETE', `/api/tokens/${UNKNOWN}`, 'tokens:write'],
        ['GET', '/api/issuers', 'tokens:write'],
        ['POST', '/api/issuers', 'tokens:write'],
        ['DELETE', `/api/issuers/${UNKNOWN}`, 'tokens:write'],
        ['GET', '/api/people', 'people:write'],
        ['POST', '/api/people', 'people:write'],
        ['PUT', `/api/people/${UNKNOWN}`, 'people:write'],
        ['POST', `/api/people/${UNKNOWN}/link`, 'people:write'],
        ['GET', '/api/audit', 'audit:read'],
      ];
      const described = await call(plane, 'GET', '/openapi.json');
      const guarded = Object.entries(described.body.paths).flatMap(([path, methods]) =>
        Object.entries(methods as Record<string, { description?: string; security?: unknown[] }>)
          .filter(([, operation]) => operation.security?.length !== 0 && /^Scope:/.test(operation.description ?? ''))
          .map(([method, operation]) => `${method.toUpperCase()} ${path} ${operation.description}`),
      );
      assert.equal(guarded.length, routes.length, 'this table has every route of the document');
      for (const [method, path, scope] of routes) {
        const none = await call(plane, method, path);
        assert.equal(none.status, 401, `${method} ${path} without a credential`);
        assert.match(none.headers.get('www-authenticate') ?? '', /^Bearer/);
        const without = (await mint(plane, { scopes: SCOPES_OF_TOKENS.filter((each) => each !== scope) })).jwt;
        assert.equal(
          (await call(plane, method, path, { token: without })).status,
          403,
          `${method} ${path} without ${scope}`,
        );
        const only = (await mint(plane, { scopes: [scope] })).jwt;
        const allowed = await call(plane, method, path, { token: only });
        assert.ok(
          ![401, 403].includes(allowed.status) && allowed.status < 500,
          `${method} ${path} with ${scope}: ${allowed.status}`,
        );
      }
    });

    test('a token that is limited to a workload reaches nothing else', async () => {
      const own = await restorable();
      const other = await restorable();
      const token = (await mint(plane, { workloads: [own.workload.id] })).jwt;
      const get = async (path: string) => (await call(plane, 'GET', path, { token })).status;
      assert.equal(await get(`/api/workloads/${own.workload.id}`), 200);
      assert.equal(await get(`/api/workloads/${other.workload.id}`), 403);
      assert.equal(await get(`/api/workloads/${UNKNOWN}`), 403, 'whether it exists is not said');
      assert.equal(await get(`/api/intents?workloadId=${other.workload.id}`), 403);
      const list = await call(plane, 'GET', '/api/workloads', { token });
      assert.deepEqual(
        list.body.workloads.map((each: { id: string }) => each.id),
        [own.workload.id],
      );
      const foreign = (await other.restore()).body.id as string;
      assert.equal(await get(`/api/intents/${foreign}`), 403);
      assert.equal(await get(`/api/intents/${foreign}/events`), 403);
      assert.equal((await call(plane, 'POST', `/api/intents/${foreign}/cancel`, { token })).status, 403);
      const mine = (await own.restore({}, token)).body.id as string;
      const seen = await call(plane, 'GET', '/api/intents', { token });
      assert.deepEqual(
        seen.body.intents.map((each: { id: string }) => each.id),
        [mine],
      );
      for (const [method, path] of [
        ['POST', '/api/tokens'],
        ['GET', '/api/tokens'],
        ['GET', '/api/audit'],
        ['POST', '/api/hosts'],
        ['POST', '/api/workloads'],
      ] as const) {
        assert.equal(
          (await call(plane, method, path, { token, ...(method === 'POST' ? { body: {} } : {}) })).status,
          403,
          `${method} ${path}`,
        );
      }
      const hostsSeen = await call(plane, 'GET', '/api/hosts', { token });
      assert.deepEqual(
        hostsSeen.body.hosts.map((each: { id: string }) => each.id),
        [hostId],
      );
    });

    test('a token that is limited to a workload changes it, but lets it reach nothing else', async () => {
      const { workload } = await restorable();
      const token = (await mint(plane, { workloads: [workload.id] })).jwt;
      const path = `/api/workloads/${workload.id}`;
      const { config } = (await call(plane, 'GET', path, { token })).body;
      const put = async (body: unknown) => (await call(plane, 'PUT', path, { token, body })).status;
      assert.equal(await put({ ...config, image: 'shop:3' }), 200);
      assert.equal(await put({ ...config, project: 'other' }), 403);
      const etc = { name: 'etc', scope: 'absolute', source: '/etc', target: '/etc2' };
      assert.equal(await put({ ...config, volumes: [...config.volumes, etc] }), 403);
      assert.equal(
        (await call(plane, 'PUT', path, { token: admin, body: { ...config, project: 'other' } })).status,
        200,
      );
    });

    test('forged, foreign, stale and misused tokens are all 401', async () => {
      const context = await jwtContext(plane);
      const { jti } = await mint(plane);
      const claims = (token: SignJWT, jtiOf = jti) =>
        token
          .setIssuer(context.issuer)
          .setAudience('refloat-api')
          .setSubject('tester')
          .setJti(jtiOf)
          .setIssuedAt()
          .setNotBefore('0s')
          .setExpirationTime('5m');
      const header = { alg: 'EdDSA', typ: 'refloat-token+jwt', kid: context.keys.signing(new Date()).kid };
      const sign = (token: SignJWT, change: Record<string, unknown> = {}) =>
        token.setProtectedHeader({ ...header, ...change }).sign(context.keys.signing(new Date()).key);
      const stranger = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
      const publicKey = new TextEncoder().encode(JSON.stringify(context.keys.publicJwks(new Date()).keys[0]));
      const good = await sign(claims(new SignJWT({ scope: '' })));
      assert.equal(
        (await call(plane, 'GET', '/api/session', { token: good })).status,
        200,
        'the reference token is good',
      );
      const [head = '', payload = '', signature = ''] = good.split('.');
      const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const revoked = await mint(plane);
      await call(plane, 'DELETE', `/api/tokens/${revoked.jti}`, { token: admin });
      const expiredRow = await mint(plane);
      await plane.database.db
        .update(tokens)
        .set({ expiresAt: new Date(Date.now() - 1) })
        .where(eq(tokens.jti, expiredRow.jti));
      const attacks: Record<string, string> = {
        'alg none': `${base64({ ...header, alg: 'none' })}.${payload}.`,
        'alg none, signature kept': `${base64({ ...header, alg: 'none' })}.${payload}.${signature}`,
        'HS256 with the public key as secret': await claims(new SignJWT({ scope: '' }))
          .setProtectedHeader({ ...header, alg: 'HS256' })
          .sign(publicKey),
        'signed by another key': await claims(new SignJWT({ scope: '' }))
          .setProtectedHeader(header)
          .sign(stranger.privateKey),
        'unknown kid': await sign(claims(new SignJWT({ scope: '' })), { kid: 'other' }),
        'no kid': await claims(new SignJWT({ scope: '' }))
          .setProtectedHeader({ alg: 'EdDSA', typ: header.typ })
          .sign(context.keys.signing(new Date()).key),
        'own key in the header': await claims(new SignJWT({ scope: '' }))
          .setProtectedHeader({ ...header, kid: 'mine', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' } })
          .sign(stranger.privateKey),
        'no typ': await sign(claims(new SignJWT({ scope: '' })), { typ: undefined }),
        'typ of a session': await sign(claims(new SignJWT({ scope: '' })), { typ: 'refloat-session+jwt' }),
        'critical extension': `${base64({ ...header, crit: ['b64'], b64: false })}.${payload}.${signature}`,
        'wrong issuer': await sign(claims(new SignJWT({ scope: '' })).setIssuer('https://evil.example')),
        'wrong audience': await sign(claims(new SignJWT({ scope: '' })).setAudience('other')),
        expired: await sign(claims(new SignJWT({ scope: '' })).setExpirationTime(Math.floor(Date.now() / 1000) - 60)),
        'not yet valid': await sign(
          claims(new SignJWT({ scope: '' })).setNotBefore(Math.floor(Date.now() / 1000) + 600),
        ),
        'no exp': await sign(
          new SignJWT({ scope: '' })
            .setIssuer(context.issuer)
            .setAudience('refloat-api')
            .setSubject('t')
            .setJti(jti)
            .setIssuedAt()
            .setNotBefore('0s'),
        ),
        'no jti': await sign(
          new SignJWT({ scope: '' })
            .setIssuer(context.issuer)
            .setAudience('refloat-api')
            .setSubject('t')
            .setIssuedAt()
            .setNotBefore('0s')
            .setExpirationTime('5m'),
        ),
        'a jti that was never minted': await sign(claims(new SignJWT({ scope: '' }), UNKNOWN)),
        'a jti that is no UUID': await sign(claims(new SignJWT({ scope: '' }), "' or 1=1 --")),
        revoked: revoked.jwt,
        'expired in the database': expiredRow.jwt,
        'payload changed': `${head}.${base64({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'root' })}.${signature}`,
        'signature cut': good.slice(0, -4),
        'very long': `${good}${'A'.repeat(9000)}`,
        'a session as bearer': (await signedIn(plane)).headers.cookie.replace('refloat_session=', ''),
      };
      for (const [what, token] of Object.entries(attacks)) {
        const answer = await call(plane, 'GET', '/api/workloads', { token });
        assert.deepEqual([answer.status, answer.body.code], [401, 'UNAUTHENTICATED'], what);
      }
      for (const authorization of ['Basic YTpi', 'Bearer', `Bearer ${good} ${good}`, good]) {
        assert.equal(
          (await call(plane, 'GET', '/api/workloads', { headers: { authorization } })).status,
          401,
          authorization.slice(0, 20),
        );
      }
      const twoHeads = await call(plane, 'GET', '/api/workloads', {
        headers: {
          authorization: 'Bearer x',
          cookie: (await signedIn(plane)).headers.cookie,
        },
      });
      assert.equal(twoHeads.status, 401, 'a bad bearer token is not saved by a good cookie');
      const automationCookie = await call(plane, 'GET', '/api/workloads', {
        headers: { cookie: `refloat_session=${admin}` },
      });
      assert.equal(automationCookie.status, 401, 'an automation token is no cookie');
    });

    test('a sign-in link works once, by POST only, and its cookie acts from our own pages only', async () => {
      const secret = await signInSecret(plane);
      const page = await call(plane, 'GET', '/sign-in');
      assert.equal(page.status, 200);
      assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
      const signIn = (headers: Record<string, string>) =>
        call(plane, 'POST', '/api/session', { body: { token: secret }, headers });
      assert.equal(
        (await signIn({ origin: 'https://evil.example' })).status,
        403,
        'another site cannot sign somebody in',
      );
      const races = await Promise.all([signIn({ origin: plane.origin }), signIn({ origin: plane.origin }), signIn({})]);
      assert.deepEqual(races.map((answer) => answer.status).sort(), [200, 401, 401]);
      const signedIn = races.find((answer) => answer.status === 200);
      assert.ok(signedIn !== undefined);
      const setCookie = signedIn.headers.get('set-cookie') ?? '';
      assert.match(setCookie, /HttpOnly/i);
      assert.match(setCookie, /SameSite=Strict/i);
      const cookie = setCookie.split(';')[0] ?? '';
      assert.deepEqual((await call(plane, 'GET', '/api/session', { headers: { cookie } })).body.subject, 'admin');
      const create = (headers: Record<string, string>) =>
        call(plane, 'POST', '/api/hosts', { body: { name: `h-${randomUUID()}` }, headers: { cookie, ...headers } });
      assert.equal((await create({})).body.code, 'ORIGIN_MISMATCH');
      assert.equal((await create({ origin: 'null' })).status, 403);
      assert.equal((await create({ origin: `${plane.origin}.evil.example` })).status, 403);
      assert.equal((await create({ origin: plane.origin })).status, 201);
      const out = await call(plane, 'DELETE', '/api/session', { headers: { cookie, origin: plane.origin } });
      assert.equal(out.status, 204);
      assert.match(out.headers.get('set-cookie') ?? '', /Max-Age=0/);
      assert.equal(
        (await call(plane, 'GET', '/api/session', { headers: { cookie } })).status,
        401,
        'the session ended on the server',
      );
    });

    test('a token cannot make one that may do more than itself', async () => {
      const minter = (await mint(plane, { scopes: ['tokens:write', 'workloads:read'] })).jwt;
      const create = (body: unknown) => call(plane, 'POST', '/api/tokens', { token: minter, body });
      assert.equal((await create({ scopes: ['restores:create'] })).status, 403);
      assert.equal((await create({ scopes: ['everything'] })).status, 422);
      assert.equal((await create({ scopes: [] })).status, 422);
      assert.equal((await create({ scopes: ['workloads:read'], workloads: [UNKNOWN] })).status, 422);
      const made = await create({ scopes: ['workloads:read'], ttlSeconds: 60, subject: 'ci' });
      assert.equal(made.status, 201);
      assert.equal((await call(plane, 'GET', '/api/workloads', { token: made.body.token })).status, 200);
      const listed = await call(plane, 'GET', '/api/tokens', { token: minter });
      const row = listed.body.tokens.find((each: { jti: string }) => each.jti === made.body.jti);
      assert.equal(row.subject, 'ci');
      assert.ok(!JSON.stringify(listed.body).includes(made.body.token));
      assert.equal((await call(plane, 'DELETE', `/api/tokens/${made.body.jti}`, { token: minter })).status, 204);
      assert.equal((await call(plane, 'GET', '/api/workloads', { token: made.body.token })).status, 401);
      const key = randomUUID();
      const once = await call(plane, 'POST', '/api/tokens', {
        token: minter,
        body: { scopes: ['workloads:read'] },
        headers: { 'idempotency-key': key },
      });
      const twice = await call(plane, 'POST', '/api/tokens', {
        token: minter,
        body: { scopes: ['workloads:read'] },
        headers: { 'idempotency-key': key },
      });
      assert.deepEqual([once.status, twice.status], [201, 422], 'a secret is shown once, and never kept');
    });

    test('workloads: create, read, change by version, and refuse what is not valid', async () => {
      const config = {
        name: `web-${randomUUID()}`,
        project: 'web',
        hostId,
        image: 'web:1',
        volumes: [{ name: 'data', scope: 'stage', source: 'data/files', target: '/data' }],
      };
      const post = (body: unknown) => call(plane, 'POST', '/api/workloads', { token: admin, body });
      const created = await post(config);
      assert.equal(created.status, 201);
      assert.equal(created.headers.get('location'), `/api/workloads/${created.body.id}`);
      assert.equal(created.body.config.stage, 'prod');
      assert.equal((await post(config)).body.code, 'NAME_TAKEN');
      assert.equal((await post({ ...config, name: 'x', hostId: UNKNOWN })).status, 422);
      for (const volume of [
        { name: 'v', scope: 'project', source: '../etc', target: '/d' },
        { name: 'v', scope: 'absolute', source: '/srv/../etc', target: '/d' },
        { name: 'v', scope: 'absolute', source: '/', target: '/d' },
        { name: 'v', scope: 'project', source: '/etc', target: '/d' },
        { name: 'v', scope: 'project', source: 'a\u0000b', target: '/d' },
        { name: 'v', scope: 'nonsense', source: 'a', target: '/d' },
      ]) {
        const refused = await post({ ...config, name: `y-${randomUUID()}`, volumes: [volume] });
        assert.deepEqual([refused.status, refused.body.code], [422, 'VALIDATION_FAILED'], JSON.stringify(volume));
        assert.match(refused.body.errors[0].path, /^volumes\.0\./);
      }
      const path = `/api/workloads/${created.body.id}`;
      const got = await call(plane, 'GET', path, { token: admin });
      assert.equal(got.headers.get('etag'), '"1"');
      const put = (body: unknown, headers: Record<string, string> = {}) =>
        call(plane, 'PUT', path, { token: admin, body, headers });
      assert.equal(
        (await put(got.body)).headers.get('etag'),
        '"1"',
        'what GET answers can be sent back, and changes nothing',
      );
      const changed = await put({ ...got.body, image: 'web:2' }, { 'if-match': '"1"' });
      assert.deepEqual([changed.status, changed.headers.get('etag'), changed.body.config.image], [200, '"2"', 'web:2']);
      const stale = await put({ ...config, image: 'web:3' }, { 'if-match': '"1"' });
      assert.deepEqual([stale.status, stale.body.code], [412, 'VERSION_CONFLICT']);
      const moved = await put({ ...config, hostId: await addHost(plane) });
      assert.deepEqual([moved.status, moved.body.errors[0].path], [422, 'hostId']);
      const namesake = await addWorkload(plane, hostId);
      assert.equal((await put({ ...config, name: namesake.name })).body.code, 'NAME_TAKEN');
      const renamed = await put({ ...config, name: `new-${randomUUID()}` });
      assert.equal(renamed.status, 200);
      const rivals = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          put({ ...renamed.body, image: `web:r${index}` }, { 'if-match': '"3"' }),
        ),
      );
      assert.deepEqual(rivals.map((answer) => answer.status).sort(), [200, 412, 412, 412, 412, 412]);
      assert.equal((await call(plane, 'PUT', `/api/workloads/${UNKNOWN}`, { token: admin, body: config })).status, 404);
    });

    test('hosts: created, enrolled once per token, revoked for good', async () => {
      const name = `edge-${randomUUID()}`;
      const created = await call(plane, 'POST', '/api/hosts', { token: admin, body: { name } });
      assert.equal(created.status, 201);
      assert.equal((await call(plane, 'POST', '/api/hosts', { token: admin, body: { name } })).status, 409);
      const enrollment = () => call(plane, 'POST', `/api/hosts/${created.body.id}/enrollment`, { token: admin });
      const { token, expiresAt } = (await enrollment()).body;
      const minutes = (Date.parse(expiresAt) - Date.now()) / 60_000;
      assert.ok(minutes > 14 && minutes <= 15, `${minutes} minutes`);
      const enroll = (secret: string) => call(plane, 'POST', '/api/enroll', { body: { token: secret } });
      const races = await Promise.all([enroll(token), enroll(token)]);
      assert.deepEqual(races.map((answer) => answer.status).sort(), [200, 401]);
      const enrolled = races.find((answer) => answer.status === 200)?.body;
      assert.equal(enrolled.hostId, created.body.id);
      const url = new URL(enrolled.databaseUrl);
      assert.equal(url.username, `refloat_host_${created.body.id.replaceAll('-', '')}`);
      assert.equal(url.searchParams.get('application_name'), 'agent', 'the rest of the address is kept');
      assert.equal((await enroll('nonsense')).body.code, 'ENROLLMENT_INVALID');
      assert.equal((await enroll(await signInSecret(plane))).status, 401, 'a sign-in secret is no enrollment');
      const { id: workloadId } = await addWorkload(plane, created.body.id);
      const deploy = () => call(plane, 'POST', `/api/workloads/${workloadId}/deploy`, { token: admin });
      const pending = (await deploy()).body;
      assert.equal((await call(plane, 'DELETE', `/api/hosts/${created.body.id}`, { token: admin })).status, 204);
      const ended = (await call(plane, 'GET', `/api/intents/${pending.id}`, { token: admin })).body;
      assert.deepEqual([ended.state, ended.error.code], ['failed', 'HOST_REVOKED']);
      const late = await deploy();
      assert.deepEqual([late.status, late.body.code], [409, 'HOST_REVOKED']);
      assert.equal((await enrollment()).status, 404);
      assert.equal(
        (
          await call(plane, 'POST', '/api/workloads', {
            token: admin,
            body: { name: 'z', project: 'z', hostId: created.body.id, image: 'z' },
          })
        ).status,
        422,
      );
    });

    test('events arrive in order while they happen, each once across a reconnect, and all of them before the end', async () => {
      const { restore } = await restorable();
      const intent = (await restore()).body;
      const path = `/api/intents/${intent.id}/events`;
      const headers = { authorization: `Bearer ${admin}` };
      await move(plane, intent.id, ['claimed', 'running']);
      await addEvents(plane, intent.id, hostId, 1, 3);
      const first = await readEvents(plane, path, headers, async (event) => {
        if (event.id === '3') await addEvents(plane, intent.id, hostId, 4, 5);
        return event.id === '5';
      });
      assert.deepEqual(
        first.events.filter((event) => event.id !== undefined).map((event) => event.id),
        ['1', '2', '3', '4', '5'],
      );
      assert.equal(first.events[0]?.event, 'step');
      assert.equal(first.events[0]?.data.data.n, 1);
      const second = await readEvents(plane, path, { ...headers, 'last-event-id': '4' }, async (event) => {
        if (event.id === '5')
          await plane.database.db
            .update(intents)
            .set({ step: 'stage', progress: { bytesDone: 1, bytesTotal: 2, entriesDone: 1 } })
            .where(eq(intents.id, intent.id));
        if (event.event === 'progress' && event.data.progress !== null) {
          await addEvents(plane, intent.id, hostId, 6, 700);
          await move(plane, intent.id, ['succeeded'], { result: { downtimeMs: 1 } });
        }
        return false;
      });
      const numbered = second.events.filter((event) => event.id !== undefined).map((event) => Number(event.id));
      assert.deepEqual(
        numbered,
        Array.from({ length: 696 }, (_, index) => index + 5),
      );
      const end = second.events.at(-1);
      assert.deepEqual([end?.event, end?.data.state, end?.data.result], ['end', 'succeeded', { downtimeMs: 1 }]);
      const again = await readEvents(plane, path, { ...headers, 'last-event-id': '700' });
      assert.deepEqual(
        again.events.map((event) => event.event),
        ['end'],
      );
      const odd = await readEvents(plane, path, { ...headers, 'last-event-id': 'x' }, (event) => event.id === '1');
      assert.equal(odd.events[0]?.id, '1', 'a number that is none means from the beginning');
    });

    test('intents are listed newest first, filtered, and page by page without a gap', async () => {
      const { workload, snapshotId } = await restorable();
      const made: string[] = [];
      for (let index = 0; index < 5; index++) {
        made.unshift(
          (await call(plane, 'POST', `/api/workloads/${workload.id}/snapshots/${snapshotId}/plan`, { token: admin }))
            .body.id,
        );
      }
      const list = async (query: string) =>
        (await call(plane, 'GET', `/api/intents?workloadId=${workload.id}${query}`, { token: admin })).body;
      const first = await list('&limit=2');
      const second = await list(`&limit=2&cursor=${first.next}`);
      const third = await list(`&limit=2&cursor=${second.next}`);
      assert.deepEqual(
        [...first.intents, ...second.intents, ...third.intents].map((each: { id: string }) => each.id),
        made,
      );
      assert.equal(third.next, null);
      await move(plane, made[0] ?? '', ['cancelled']);
      assert.equal((await list('&state=pending,claimed')).intents.length, 4);
      assert.equal((await list('&kind=restore')).intents.length, 0);
      assert.equal((await call(plane, 'GET', '/api/intents?state=sleeping', { token: admin })).status, 422);
      assert.equal((await call(plane, 'GET', '/api/intents?nonsense=1', { token: admin })).status, 422);
    });

    test('every change and every refusal is in the audit, and the chain holds', async () => {
      const { workload, path, restore } = await restorable();
      const accepted = await restore();
      await call(plane, 'POST', path, {});
      await call(plane, 'POST', path, { token: admin });
      await restore();
      await move(plane, accepted.body.id, ['claimed', 'running', 'failed'], {
        error: { code: 'DISK_FULL', message: 'm', hint: 'h', disposition: 'refuse' },
      });
      const rows = await plane.database.db.select().from(audit).where(eq(audit.target, path));
      assert.deepEqual(rows.map((row) => [row.outcome, row.code, row.actor, row.action]).sort(), [
        ['refused', 'CONFIRMATION_MISSING', 'tester', 'restoreSnapshot'],
        ['refused', 'INTENT_UNDER_WAY', 'tester', 'restoreSnapshot'],
        ['refused', 'UNAUTHENTICATED', 'anonymous', 'restoreSnapshot'],
      ]);
      const mine = await plane.database.db
        .select()
        .from(audit)
        .where(eq(audit.target, `intent:${accepted.body.id}`));
      assert.deepEqual(mine.map((row) => [row.outcome, row.action, row.code]).sort(), [
        ['accepted', 'restoreSnapshot', null],
        ['failed', 'intent.failed', 'DISK_FULL'],
      ]);
      const [answered] = await plane.database.db
        .select()
        .from(audit)
        .where(and(eq(audit.target, `intent:${accepted.body.id}`), eq(audit.outcome, 'accepted')));
      assert.equal(answered?.requestId, accepted.headers.get('x-request-id'), 'the request id finds the row');
      const [chain] = await plane.database.sql`select audit_first_broken() as broken`;
      assert.equal(chain?.['broken'], null);
      const listed = await call(plane, 'GET', '/api/audit?limit=2', { token: admin });
      assert.equal(listed.body.audit.length, 2);
      assert.equal(listed.body.next, listed.body.audit[1].seq);
      assert.ok(workload.id.length > 0);
    });

    pageCases(() => plane);
    headerCases(() => plane);
    valueCases(() => plane);

    test('what nobody asked for is answered sanely', async () => {
      assert.deepEqual((await call(plane, 'GET', '/healthz')).body, { ok: true });
      assert.deepEqual((await call(plane, 'GET', '/readyz')).body, { ok: true });
      assert.match((await call(plane, 'GET', '/metrics')).body, /^# HELP refloat_intents /);
      const jwks = await call(plane, 'GET', '/.well-known/jwks.json');
      assert.ok(
        jwks.body.keys.length === 1 && jwks.body.keys.every((key: object) => !('d' in key)),
        'public parts only',
      );
      const nowhere = await call(plane, 'GET', '/api/nothing', { token: admin });
      assert.deepEqual([nowhere.status, nowhere.body.code], [404, 'NOT_FOUND']);
      assert.equal((await call(plane, 'PATCH', '/api/workloads', { token: admin })).status, 404);
      const huge = await call(plane, 'POST', '/api/workloads', { token: admin, body: { name: 'x'.repeat(1_200_000) } });
      assert.deepEqual([huge.status, huge.body.code], [413, 'BODY_TOO_LARGE']);
      const [docs, openapi] = [await call(plane, 'GET', '/docs'), await call(plane, 'GET', '/openapi.json')];
      assert.equal(docs.status, 200);
      assert.equal(openapi.body.openapi, '3.1.0');
      assert.doesNotMatch(docs.body, /<script|https?:\/\/(?!127)/);
      const page = await call(plane, 'GET', '/');
      assert.equal(page.status, 200);
      const row = await plane.database.db.select().from(workloads).limit(1);
      assert.ok(row.length <= 1);
    });
  });
}
