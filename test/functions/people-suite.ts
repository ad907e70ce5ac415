/** Passkeys, sessions, roles and people, as every runtime must have them; run against Node and against workerd. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { and, eq, inArray } from 'drizzle-orm';
import { audit, challenges, oneTimeLinks, passkeys, people, sessions } from '../../db/schema/index.ts';
import { Authenticator, type Twist } from '../helpers/authenticator.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  mint,
  move,
  signInSecret,
} from '../helpers/control-plane.ts';
import { Visitor } from '../helpers/visitor.ts';

const UNKNOWN = '01900000-0000-7000-8000-000000000000';

/** All of these sign-ins come from one address. */
const RATES = { REFLOAT_RATE_LIMITS: 'sign-in=100000:100000' };

export function peopleSuite(
  name: string,
  start: (env: Readonly<Record<string, string>>) => Promise<ControlPlane>,
): void {
  describe(name, () => {
    let plane: ControlPlane;
    let hostId: string;
    before(async () => {
      plane = await start(RATES);
      hostId = await addHost(plane);
    });
    after(async () => {
      await plane.close();
    });

    /** A visitor who is signed in by link, with their person's id. */
    async function person(
      options: Parameters<Visitor['signInByLink']>[0] = {},
    ): Promise<Visitor & { personId: string }> {
      const visitor = new Visitor(plane);
      await visitor.signInByLink({ name: `p-${randomUUID()}`, ...options });
      const { body } = await visitor.call('GET', '/api/session');
      return Object.assign(visitor, { personId: body.person.id as string });
    }

    /** Makes the proof of a person's sessions too old. */
    async function age(personId: string, seconds = 301): Promise<void> {
      await plane.database
        .sql`update sessions set proof_at = now() - make_interval(secs => ${seconds}) where person_id = ${personId}`;
    }

    async function restorable(project = 'shop') {
      const workload = await addWorkload(plane, hostId, { project });
      const snapshotId = await addSnapshot(plane, workload);
      const confirmed = { 'x-confirm-restore': workload.name };
      const base = `/api/workloads/${workload.id}`;
      return { workload, snapshotId, confirmed, base, restore: `${base}/snapshots/${snapshotId}/restore` };
    }

    test('a passkey is added after a sign-in link, and signs in from then on, several per person', async () => {
      const visitor = await person({ role: 'operator' });
      const [first, second] = [await visitor.addPasskey('laptop'), await visitor.addPasskey('phone')];
      for (const key of [first, second, first]) {
        const fresh = new Visitor(plane);
        const answer = await fresh.signInByPasskey(key);
        assert.deepEqual([answer.status, answer.body.role], [200, 'operator']);
        const { body } = await fresh.call('GET', '/api/session');
        assert.equal(body.person.id, visitor.personId);
        assert.equal(body.person.proof.kind, 'passkey');
        assert.notEqual(body.person.proof.freshUntil, null);
      }
      const listed = await visitor.call('GET', '/api/passkeys');
      assert.deepEqual(
        listed.body.passkeys.map((each: { name: string }) => each.name),
        ['laptop', 'phone'],
      );
      assert.doesNotMatch(JSON.stringify(listed.body), /publicKey/);
    });

    test('passkeys are renamed and removed by their owner alone, the last one only with the word for it', async () => {
      const [visitor, other] = [await person(), await person()];
      const [first, second] = [await visitor.addPasskey(), await visitor.addPasskey()];
      const path = (key: Authenticator, query = '') => `/api/passkeys/${key.id}${query}`;
      assert.equal((await visitor.call('PUT', path(first), { name: 'ring' })).body.name, 'ring');
      assert.equal((await visitor.call('PUT', path(first), { name: '\u0000' })).status, 422);
      assert.equal((await other.call('PUT', path(first), { name: 'mine' })).status, 404);
      assert.equal((await other.call('DELETE', path(first, '?last=true'))).status, 404);
      await age(visitor.personId);
      assert.equal((await visitor.call('DELETE', path(first))).body.code, 'FRESH_PROOF_REQUIRED');
      assert.equal((await visitor.prove(second)).status, 200);
      assert.equal((await visitor.call('DELETE', path(first))).status, 204);
      assert.equal((await new Visitor(plane).signInByPasskey(first)).body.code, 'PASSKEY_INVALID');
      assert.equal((await visitor.call('DELETE', path(second))).body.code, 'LAST_PASSKEY');
      assert.equal((await visitor.call('DELETE', path(second, '?last=true'))).status, 204);
    });

    test('what a passkey answers is refused unless everything in it is right, and each challenge counts once', async () => {
      const owner = await person();
      const key = await owner.addPasskey();
      const stranger = new Authenticator(owner.plane.origin);
      const wrong: Record<string, Twist> = {
        'another origin': { origin: 'https://evil.example' },
        'another port': { origin: 'http://localhost:1' },
        'another site': { rpId: 'evil.example' },
        'a challenge of its own': { challenge: 'AAAAAAAAAAAAAAAAAAAAAA' },
        'a registration': { type: 'webauthn.create' },
        'nobody present': { flags: 0x04 },
        'the person not verified': { flags: 0x01 },
        'a counter that stands still': { counter: 0 },
        'another person': { userHandle: Buffer.from(UNKNOWN).toString('base64url') },
      };
      assert.equal((await new Visitor(plane).signInByPasskey(key)).status, 200);
      for (const [what, twist] of Object.entries(wrong)) {
        const visitor = new Visitor(plane);
        const { body } = await visitor.call('POST', '/api/session/passkey/challenge');
        const refused = await visitor.call('POST', '/api/session/passkey', key.answer(body, twist));
        assert.equal(refused.status, 401, what);
        assert.match(refused.body.code, /^(PASSKEY|CHALLENGE)_INVALID$/, what);
        assert.equal(visitor.cookies.size, 0, what);
        if (twist.challenge !== undefined) continue;
        const again = await visitor.call('POST', '/api/session/passkey', key.answer(body));
        assert.equal(again.body.code, 'CHALLENGE_INVALID', `${what}: the challenge is used up`);
      }
      const visitor = new Visitor(plane);
      const challenge = async () => (await visitor.call('POST', '/api/session/passkey/challenge')).body;
      const unknown = await visitor.call('POST', '/api/session/passkey', stranger.answer(await challenge()));
      assert.equal(unknown.body.code, 'PASSKEY_INVALID');
      const forged = { ...stranger.answer(await challenge()), id: key.id, rawId: key.id };
      assert.equal((await visitor.call('POST', '/api/session/passkey', forged)).body.code, 'PASSKEY_INVALID');
      const late = await challenge();
      await plane.database.db.update(challenges).set({ expiresAt: new Date(Date.now() - 1000) });
      assert.equal(
        (await visitor.call('POST', '/api/session/passkey', key.answer(late))).body.code,
        'CHALLENGE_INVALID',
      );
      const used = key.answer(await challenge());
      const races = await Promise.all(
        [used, used, used].map((each) => visitor.call('POST', '/api/session/passkey', each)),
      );
      assert.deepEqual(races.map((each) => each.status).sort(), [200, 401, 401]);
      for (const nonsense of [{}, { ...used, id: '!' }, { ...used, response: { clientDataJSON: 'a' } }]) {
        assert.equal((await visitor.call('POST', '/api/session/passkey', nonsense)).status, 422);
      }
      const garbled = {
        ...used,
        response: { clientDataJSON: 'a', authenticatorData: 'b', signature: 'c', userHandle: 'd' },
      };
      assert.equal((await visitor.call('POST', '/api/session/passkey', garbled)).status, 401);
    });

    test('a challenge is for one purpose and one session', async () => {
      const [anna, boris] = [await person(), await person()];
      const [annas, borisKey] = [await anna.addPasskey(), await boris.addPasskey()];
      const signIn = (await anna.call('POST', '/api/session/passkey/challenge')).body;
      assert.equal(
        (await anna.call('POST', '/api/session/proof', annas.answer(signIn))).body.code,
        'CHALLENGE_INVALID',
      );
      const proof = (await anna.call('POST', '/api/session/proof/challenge')).body;
      assert.equal(
        (await boris.call('POST', '/api/session/proof', borisKey.answer(proof))).body.code,
        'CHALLENGE_INVALID',
      );
      assert.equal(
        (await anna.call('POST', '/api/session/proof', borisKey.answer(proof))).body.code,
        'PASSKEY_INVALID',
      );
      const register = (await anna.call('POST', '/api/passkeys/challenge')).body;
      const credential = new Authenticator(anna.plane.origin).register(register);
      assert.equal(
        (await boris.call('POST', '/api/passkeys', { name: 'n', credential })).body.code,
        'CHALLENGE_INVALID',
      );
      assert.equal((await anna.call('POST', '/api/passkeys', { name: 'n', credential })).status, 201);
      for (const [what, twist] of Object.entries({
        origin: { origin: 'https://evil.example' },
        unverified: { flags: 0x41 },
      })) {
        const options = (await anna.call('POST', '/api/passkeys/challenge')).body;
        const bad = new Authenticator(anna.plane.origin).register(options, twist);
        assert.equal(
          (await anna.call('POST', '/api/passkeys', { name: 'n', credential: bad })).body.code,
          'PASSKEY_INVALID',
          what,
        );
      }
    });

    test('there are no passkeys at an address without a name', async () => {
      const [, port] = /:(\d+)$/.exec(plane.origin) ?? [];
      const byNumber = `http://127.0.0.1:${port}`;
      const ways = await call({ ...plane, origin: byNumber }, 'GET', '/api/session/ways');
      assert.deepEqual(ways.body, { passkeys: false, oidc: null });
      const refused = await call({ ...plane, origin: byNumber }, 'POST', '/api/session/passkey/challenge');
      assert.deepEqual([refused.status, refused.body.code], [409, 'PASSKEYS_UNAVAILABLE']);
      assert.equal((await new Visitor(plane).call('GET', '/api/session/ways')).body.passkeys, true);
    });

    test('people need a fresh proof to restore, undo and delete, and to give out credentials; tokens do not', async () => {
      const admin = await person();
      const key = await admin.addPasskey();
      const { workload, base, confirmed, restore, snapshotId } = await restorable();
      const tokens = { scopes: ['restores:create'] };
      const intent = (await admin.call('POST', restore, {}, confirmed)).body;
      assert.equal(intent.state, 'pending', 'the link of a moment ago counts as a proof');
      await move(plane, intent.id, ['claimed', 'running', 'succeeded'], {
        result: { held: [{ volume: 'data', live: '/a', previous: '/b' }] },
      });
      const guarded: [string, string, unknown][] = [
        ['POST', restore, {}],
        ['POST', `/api/intents/${intent.id}/undo`, {}],
        ['DELETE', `${base}/snapshots/${snapshotId}`, undefined],
        ['POST', '/api/tokens', tokens],
        ['POST', '/api/passkeys/challenge', undefined],
        ['POST', '/api/people', { name: `x-${randomUUID()}`, role: 'viewer' }],
        ['PUT', `/api/people/${admin.personId}`, { role: 'viewer' }],
        ['POST', `/api/people/${admin.personId}/link`, undefined],
        ['POST', `/api/hosts/${hostId}/enrollment`, undefined],
        ['DELETE', `/api/hosts/${UNKNOWN}`, undefined],
      ];
      await age(admin.personId);
      for (const [method, path, body] of guarded) {
        const refused = await admin.call(method, path, body, confirmed);
        assert.deepEqual([refused.status, refused.body.code], [403, 'FRESH_PROOF_REQUIRED'], `${method} ${path}`);
        assert.ok(refused.body.hint.length > 0);
      }
      await age(admin.personId, 299 - 60);
      assert.notEqual((await admin.call('POST', '/api/people', {})).status, 403, 'four minutes are fresh');
      await age(admin.personId);
      assert.equal((await admin.call('POST', `${base}/snapshots`)).status, 202, 'a capture takes nothing away');
      const capture = (await admin.call('GET', `/api/intents?workloadId=${workload.id}&limit=1`)).body.intents[0];
      assert.equal((await admin.call('POST', `/api/intents/${capture.id}/cancel`)).status, 202);
      const proved = await admin.prove(key);
      assert.equal(proved.status, 200);
      assert.ok(Date.parse(proved.body.person.proof.freshUntil) > Date.now());
      const undone = await admin.call('POST', `/api/intents/${intent.id}/undo`, {}, confirmed);
      assert.deepEqual([undone.status, undone.body.kind], [202, 'undo']);
      assert.equal(undone.body.requestedBy, (await admin.call('GET', '/api/session')).body.subject);
      const token = (await mint(plane)).jwt;
      const other = await restorable();
      const byToken = await call(plane, 'POST', other.restore, { token, headers: other.confirmed });
      assert.equal(byToken.status, 202);
    });

    test('who came by link and waited cannot make a passkey, which would be a way around the proof', async () => {
      const admin = await person();
      await age(admin.personId);
      assert.equal((await admin.call('POST', '/api/passkeys/challenge')).body.code, 'FRESH_PROOF_REQUIRED');
      assert.equal((await admin.call('POST', '/api/session/proof/challenge')).body.code, 'NO_PASSKEY');
      const { body } = await admin.call('GET', '/api/session');
      await admin.signInByLink({ name: body.subject });
      await admin.addPasskey();
    });

    test('a viewer reads, an operator acts, an admin everything', async () => {
      const { base, restore, confirmed, snapshotId } = await restorable();
      const snapshot = `${base}/snapshots/${snapshotId}`;
      const table: [string, string, string][] = [
        ['GET', base, 'viewer'],
        ['GET', '/api/workloads', 'viewer'],
        ['GET', '/api/hosts', 'viewer'],
        ['GET', '/api/intents', 'viewer'],
        ['GET', snapshot, 'viewer'],
        ['POST', `${snapshot}/plan`, 'operator'],
        ['POST', `${snapshot}/verify`, 'operator'],
        ['POST', restore, 'operator'],
        ['POST', `${base}/snapshots`, 'operator'],
        ['POST', `${base}/deploy`, 'operator'],
        ['POST', `/api/intents/${UNKNOWN}/undo`, 'operator'],
        ['POST', `/api/intents/${UNKNOWN}/cancel`, 'operator'],
        ['DELETE', snapshot, 'admin'],
        ['PUT', base, 'admin'],
        ['POST', '/api/workloads', 'admin'],
        ['POST', '/api/hosts', 'admin'],
        ['GET', '/api/tokens', 'admin'],
        ['POST', '/api/tokens', 'admin'],
        ['GET', '/api/audit', 'admin'],
        ['GET', '/api/people', 'admin'],
        ['POST', '/api/people', 'admin'],
      ];
      const roles = ['viewer', 'operator', 'admin'] as const;
      for (const [index, role] of roles.entries()) {
        const visitor = await person({ role });
        for (const [method, path, least] of table) {
          const { status } = await visitor.call(method, path, method === 'GET' ? undefined : {}, confirmed);
          const may = index >= roles.indexOf(least as (typeof roles)[number]);
          assert.equal(status !== 403, may, `${role} ${method} ${path}: ${status}`);
        }
      }
    });

    test('who is limited to projects finds nothing of another project, wherever it is looked for', async () => {
      const [own, other] = [await restorable('own'), await restorable('other')];
      const token = (await mint(plane)).jwt;
      const foreign = (await call(plane, 'POST', other.restore, { token, headers: other.confirmed })).body.id as string;
      for (const role of ['viewer', 'operator', 'admin'] as const) {
        const visitor = await person({ role, projects: ['own'] });
        const get = async (path: string) => (await visitor.call('GET', path)).status;
        assert.equal(await get(own.base), 200);
        for (const path of [
          other.base,
          `${other.base}/snapshots`,
          `${other.base}/snapshots/${other.snapshotId}`,
          `/api/intents/${foreign}`,
          `/api/intents/${foreign}/events`,
        ])
          assert.equal(await get(path), 404, `${role} ${path}`);
        const names = (await visitor.call('GET', '/api/workloads')).body.workloads;
        assert.ok(names.length > 0 && names.every((each: { project: string }) => each.project === 'own'));
        for (const query of ['', `?workloadId=${other.workload.id}`, `?hostId=${hostId}`]) {
          const { body } = await visitor.call('GET', `/api/intents${query}`);
          assert.ok(
            body.intents.every((each: { id: string }) => each.id !== foreign),
            `${role} ${query}`,
          );
        }
        if (role === 'viewer') continue;
        for (const [method, path] of [
          ['POST', other.restore],
          ['POST', `${other.base}/snapshots`],
          ['POST', `${other.base}/deploy`],
          ['POST', `${other.base}/snapshots/${other.snapshotId}/plan`],
          ['POST', `/api/intents/${foreign}/undo`],
          ['POST', `/api/intents/${foreign}/cancel`],
        ] as const)
          assert.equal(
            (await visitor.call(method, path, {}, other.confirmed)).status,
            404,
            `${role} ${method} ${path}`,
          );
      }
    });

    test('an admin of a project changes workloads of that project, and reaches no other by way of a volume', async () => {
      const admin = await person({ projects: ['own'] });
      const volume = { name: 'v', scope: 'project', source: 'data', target: '/data' };
      const config = { name: `w-${randomUUID()}`, project: 'own', hostId, image: 'i', volumes: [volume] };
      const post = (change: object) => admin.call('POST', '/api/workloads', { ...config, ...change });
      assert.equal((await post({ project: 'other' })).status, 403);
      assert.equal(
        (await post({ volumes: [{ ...volume, scope: 'absolute', source: '/srv/refloat/other' }] })).status,
        403,
      );
      assert.equal((await post({ volumes: [{ ...volume, scope: 'named', source: 'other' }] })).status, 403);
      const made = await post({});
      assert.equal(made.status, 201);
      const put = (change: object) => admin.call('PUT', `/api/workloads/${made.body.id}`, { ...config, ...change });
      assert.equal((await put({ project: 'other' })).status, 403);
      assert.equal((await put({ image: 'j' })).status, 200);
      const kept = { ...volume, scope: 'named', source: 'given' };
      const token = (await mint(plane)).jwt;
      await call(plane, 'PUT', `/api/workloads/${made.body.id}`, { token, body: { ...config, volumes: [kept] } });
      assert.equal((await put({ volumes: [kept], image: 'k' })).status, 200, 'what somebody else has allowed stays');
      for (const [method, path] of [
        ['GET', '/api/people'],
        ['POST', '/api/tokens'],
        ['GET', '/api/audit'],
        ['POST', '/api/hosts'],
      ] as const)
        assert.equal((await admin.call(method, path, method === 'GET' ? undefined : {})).status, 403, path);
    });

    test('one’s sessions are listed, and each can be ended, also from another one', async () => {
      const first = await person();
      const name = (await first.call('GET', '/api/session')).body.subject as string;
      const second = new Visitor(plane);
      await second.signInByLink({ name });
      const stranger = await person();
      const { sessions: listed } = (await first.call('GET', '/api/sessions')).body;
      assert.equal(listed.length, 2);
      assert.equal(listed.filter((each: { current: boolean }) => each.current).length, 1);
      const other = listed.find((each: { current: boolean }) => !each.current);
      assert.equal((await stranger.call('DELETE', `/api/sessions/${other.id}`)).status, 404);
      assert.equal((await first.call('DELETE', `/api/sessions/${other.id}`)).status, 204);
      assert.equal((await second.call('GET', '/api/session')).status, 401);
      assert.equal((await first.call('DELETE', `/api/sessions/${other.id}`)).status, 404);
      assert.equal((await first.call('GET', '/api/session')).status, 200);
      const { body } = await first.call('GET', '/api/session');
      assert.equal((await first.call('DELETE', `/api/sessions/${body.person.sessionId}`)).status, 204);
      assert.equal(first.cookies.size, 0);
    });

    test('the cookie is exchanged while it is used; who shows an old one later has a copy, and the session ends', async () => {
      const visitor = await person();
      const { sessionId } = (await visitor.call('GET', '/api/session')).body.person;
      const cookie = () => [...visitor.cookies.values()].join();
      const old = new Visitor(plane);
      for (const [key, value] of visitor.cookies) old.cookies.set(key, value);
      const copyOfOld = () => old.call('GET', '/api/session');
      const ageBy = async (column: 'rotated_at' | 'confirmed_at', seconds: number) =>
        plane.database
          .sql`update sessions set ${plane.database.sql(column)} = now() - make_interval(secs => ${seconds}) where id = ${sessionId}`;
      const before = cookie();
      await visitor.call('GET', '/api/session');
      assert.equal(cookie(), before, 'not before it is due');
      await ageBy('rotated_at', 301);
      await visitor.call('GET', '/api/session');
      assert.notEqual(cookie(), before);
      assert.equal((await copyOfOld()).status, 200, 'the new one has not been shown yet');
      assert.equal((await visitor.call('GET', '/api/session')).status, 200);
      old.cookies.set(sessionCookieName, before);
      assert.equal((await copyOfOld()).status, 200, 'requests that were under way');
      await ageBy('confirmed_at', 61);
      old.cookies.set(sessionCookieName, before);
      assert.equal((await copyOfOld()).status, 401);
      assert.equal((await visitor.call('GET', '/api/session')).status, 401, 'nobody knows whose copy it is');
      const rows = await plane.database.db
        .select()
        .from(audit)
        .where(and(eq(audit.action, 'session.copied'), eq(audit.target, `session:${sessionId}`)));
      assert.equal(rows.length, 1);
    });

    test('a cookie that never arrived is sent again', async () => {
      const visitor = await person();
      const { sessionId } = (await visitor.call('GET', '/api/session')).body.person;
      const before = new Map(visitor.cookies);
      const late = () =>
        plane.database.sql`update sessions set rotated_at = now() - interval '301 seconds' where id = ${sessionId}`;
      for (let times = 0; times < 3; times += 1) {
        await late();
        for (const [key, value] of before) visitor.cookies.set(key, value);
        assert.equal((await visitor.call('GET', '/api/session')).status, 200);
        assert.notEqual(visitor.cookies.get(sessionCookieName), before.get(sessionCookieName));
      }
      assert.equal((await visitor.call('GET', '/api/session')).status, 200);
    });

    test('a session ends by its time, and for a person who is disabled', async () => {
      const [visitor, admin] = [await person({ role: 'viewer' }), await person()];
      assert.equal((await visitor.call('GET', '/api/session')).status, 200);
      const put = (body: object) => admin.call('PUT', `/api/people/${visitor.personId}`, { role: 'viewer', ...body });
      assert.equal((await put({ disabled: true })).status, 200);
      assert.equal((await visitor.call('GET', '/api/session')).status, 401);
      const name = (await admin.call('GET', '/api/people')).body.people.find(
        (each: { id: string }) => each.id === visitor.personId,
      ).name;
      const token = await signInSecret(plane, { name });
      assert.equal((await visitor.call('POST', '/api/session', { token })).body.code, 'LINK_INVALID');
      assert.equal((await admin.call('POST', `/api/people/${visitor.personId}/link`)).status, 404);
      assert.equal((await put({ disabled: false })).status, 200);
      assert.equal((await visitor.call('GET', '/api/session')).status, 401, 'its old sessions stay ended');
      await visitor.signInByLink({ name });
      await plane.database.db
        .update(sessions)
        .set({ expiresAt: new Date() })
        .where(eq(sessions.personId, visitor.personId));
      assert.equal((await visitor.call('GET', '/api/session')).status, 401);
    });

    test('admins invite people, change their role at once, and never lock everybody out', async () => {
      const admin = await person();
      const invite = (body: object) => admin.call('POST', '/api/people', body);
      const name = `Анна A${randomUUID()}`;
      const made = await invite({ name, role: 'viewer', projects: ['own'] });
      assert.deepEqual([made.status, made.body.role, made.body.projects], [201, 'viewer', ['own']]);
      assert.equal((await invite({ name: name.replace('A', 'a'), role: 'viewer' })).body.code, 'NAME_TAKEN');
      assert.equal((await invite({ name: 'x', role: 'root' })).status, 422);
      assert.equal((await invite({ name: 'x', role: 'admin', projects: [] })).status, 422);
      const anna = new Visitor(plane);
      const token = new URL(made.body.signInLink).hash.slice(1);
      assert.ok(made.body.signInLink.startsWith(`${admin.plane.origin}/sign-in#`));
      assert.equal((await anna.call('POST', '/api/session', { token })).status, 200);
      assert.equal((await anna.call('POST', '/api/session', { token })).body.code, 'LINK_INVALID', 'used');
      const put = (id: string, body: object) => admin.call('PUT', `/api/people/${id}`, body);
      assert.equal((await put(made.body.id, { role: 'operator' })).status, 200);
      const session = (await anna.call('GET', '/api/session')).body;
      assert.deepEqual([session.person.role, session.projects], ['operator', null], 'at once');
      const link = await admin.call('POST', `/api/people/${made.body.id}/link`);
      const expired = new URL(link.body.signInLink).hash.slice(1);
      await plane.database.db
        .update(oneTimeLinks)
        .set({ expiresAt: new Date(Date.now() - 1000) })
        .where(eq(oneTimeLinks.personId, made.body.id));
      assert.equal((await anna.call('POST', '/api/session', { token: expired })).body.code, 'LINK_INVALID', 'expired');
      const admins = await plane.database.db.select().from(people).where(eq(people.role, 'admin'));
      const rest = admins.map((each) => each.id).filter((id) => id !== admin.personId);
      await plane.database.db.update(people).set({ disabledAt: new Date() }).where(inArray(people.id, rest));
      for (const change of [
        { role: 'viewer' },
        { role: 'admin', projects: ['own'] },
        { role: 'admin', disabled: true },
      ])
        assert.equal((await put(admin.personId, change)).body.code, 'LAST_ADMIN', JSON.stringify(change));
      await plane.database.db.update(people).set({ disabledAt: null }).where(inArray(people.id, rest));
      assert.equal((await put(UNKNOWN, { role: 'viewer' })).status, 404);
      assert.equal((await admin.call('POST', `/api/people/${UNKNOWN}/link`)).status, 404);
    });

    test('a token manages people with its scope, but is none', async () => {
      const token = (await mint(plane, { scopes: ['people:write'] })).jwt;
      assert.equal((await call(plane, 'GET', '/api/people', { token })).status, 200);
      const body = { name: `ci-${randomUUID()}`, role: 'viewer' };
      assert.equal((await call(plane, 'POST', '/api/people', { token, body })).status, 201);
      for (const [method, path] of [
        ['GET', '/api/sessions'],
        ['GET', '/api/passkeys'],
        ['POST', '/api/passkeys/challenge'],
        ['POST', '/api/session/proof/challenge'],
        ['DELETE', '/api/session'],
      ] as const)
        assert.equal((await call(plane, method, path, { token })).body.code, 'FORBIDDEN', path);
    });

    test('another site can neither sign somebody in nor act with a session', async () => {
      const visitor = await person();
      const key = await visitor.addPasskey();
      const evil = { origin: 'https://evil.example' };
      const options = (await visitor.call('POST', '/api/session/passkey/challenge')).body;
      for (const [method, path, body] of [
        ['POST', '/api/session/passkey/challenge', {}],
        ['POST', '/api/session/passkey', key.answer(options)],
        ['POST', '/api/session', { token: 'x' }],
        ['POST', '/api/session/oidc', {}],
        ['POST', '/api/session/proof/challenge', {}],
        ['POST', '/api/people', {}],
        ['DELETE', '/api/session', undefined],
      ] as const)
        assert.equal((await visitor.call(method, path, body, evil)).body.code, 'ORIGIN_MISMATCH', path);
    });

    test('keys of a person and a token with the same name do not meet, and the audit tells them apart', async () => {
      const visitor = await person();
      const subject = (await visitor.call('GET', '/api/session')).body.subject as string;
      const token = (await mint(plane, { subject })).jwt;
      const key = randomUUID();
      const body = { name: `h-${randomUUID()}` };
      assert.equal((await visitor.call('POST', '/api/hosts', body, { 'idempotency-key': key })).status, 201);
      const byToken = await call(plane, 'POST', '/api/hosts', { token, body, headers: { 'idempotency-key': key } });
      assert.equal(byToken.body.code, 'NAME_TAKEN');
      const rows = await plane.database.db.select().from(audit).where(eq(audit.action, 'createHost'));
      const actors = rows.map((row) => row.actor);
      assert.ok(actors.includes(`person:${subject}`) && actors.includes(subject));
    });

    test('nothing of a passkey, a cookie or a link is in the audit or in plain in a table', async () => {
      const visitor = await person();
      const key = await visitor.addPasskey();
      await visitor.prove(key);
      const jwt = [...visitor.cookies.values()].join();
      const secret = await signInSecret(plane, { name: 'admin' });
      const dump = JSON.stringify([
        await plane.database.db.select().from(audit),
        await plane.database.db.select().from(sessions),
        await plane.database.db.select().from(oneTimeLinks),
        await plane.database.db.select().from(passkeys),
      ]);
      assert.ok(!dump.includes(jwt) && !dump.includes(secret));
    });
  });
}

const sessionCookieName = 'refloat_session';
