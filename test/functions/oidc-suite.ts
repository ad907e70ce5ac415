/** Signing in at an OIDC issuer, with good answers and bad ones; run against Node and against workerd. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eq } from 'drizzle-orm';
import { audit, challenges, people } from '../../db/schema/index.ts';
import { type Answer, addHost, addSnapshot, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import { type Lie, type OidcIssuer, startOidcIssuer } from '../helpers/oidc-issuer.ts';
import { Visitor } from '../helpers/visitor.ts';

const RULES = [
  { claim: 'email', value: 'boss@example.com', role: 'admin' },
  { claim: 'groups', value: 'shop-ops', role: 'operator', projects: ['shop'] },
  { claim: 'realm_access.roles', value: 'ops', role: 'operator' },
  { claim: 'https://example.com/reader', value: true, role: 'viewer' },
];

export function oidcSuite(name: string, start: (env: Readonly<Record<string, string>>) => Promise<ControlPlane>): void {
  describe(name, () => {
    let plane: ControlPlane;
    let issuer: OidcIssuer;
    let count = 0;
    before(async () => {
      issuer = await startOidcIssuer();
      // All of these sign-ins come from one address.
      plane = await start({ ...issuer.env(RULES), REFLOAT_RATE_LIMITS: 'sign-in=100000:100000' });
    });
    after(async () => {
      await plane.close();
      issuer.close();
    });

    /** Somebody new at the issuer. */
    function atIssuer(claims: Readonly<Record<string, unknown>> = { groups: ['shop-ops'] }): string {
      count += 1;
      issuer.person = { sub: `sub-${count}`, preferred_username: `person ${count}`, ...claims };
      issuer.lie = {};
      return `person ${count}`;
    }
    const problemOf = (answer: Answer): string | null =>
      new URL(answer.headers.get('location') ?? '', plane.origin).searchParams.get('problem');
    async function refusedAs(code: string, what: string, answer: Answer, visitor: Visitor): Promise<void> {
      assert.deepEqual([answer.status, problemOf(answer)], [303, code], what);
      assert.ok(!visitor.cookies.has('refloat_session'), what);
    }

    test('signs in with the role and the projects of the first rule that matches, and comes back to its page', async () => {
      const visitor = new Visitor(plane);
      const name = atIssuer({ groups: ['staff', 'shop-ops'] });
      const answer = await visitor.signInByOidc('/api/session/oidc', '/#shop-db');
      assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/#shop-db']);
      assert.ok(!visitor.cookies.has('refloat_oidc'), 'the cookie of the way there is gone');
      const { body } = await visitor.call('GET', '/api/session');
      assert.deepEqual([body.subject, body.person.role, body.projects], [name, 'operator', ['shop']]);
      assert.deepEqual([body.person.managedBy, body.person.proof.kind], ['oidc', 'oidc']);
      assert.equal(issuer.asked.get('code_challenge_method'), 'S256');
      assert.equal(issuer.asked.get('redirect_uri'), `${visitor.plane.origin}/api/session/oidc/callback`);
      for (const secret of ['state', 'nonce', 'code_challenge'])
        assert.ok((issuer.asked.get(secret) ?? '').length >= 40, secret);
    });

    test('rules look at values, lists and paths, and trust no address that the issuer did not check', async () => {
      const table: [Record<string, unknown>, string | null][] = [
        [{ email: 'boss@example.com', email_verified: true }, 'admin'],
        [{ email: 'boss@example.com', email_verified: false }, null],
        [{ email: 'boss@example.com' }, null],
        [{ realm_access: { roles: ['dev', 'ops'] } }, 'operator'],
        [{ realm_access: 'ops' }, null],
        [{ 'https://example.com/reader': true }, 'viewer'],
        [{ 'https://example.com/reader': 'true' }, null],
        [{ groups: 'shop-ops-2' }, null],
        [{ groups: ['SHOP-OPS'] }, null],
        [{}, null],
      ];
      for (const [claims, role] of table) {
        const visitor = new Visitor(plane);
        atIssuer(claims);
        const answer = await visitor.signInByOidc();
        if (role === null) await refusedAs('NO_ROLE', JSON.stringify(claims), answer, visitor);
        else assert.equal((await visitor.call('GET', '/api/session')).body.person?.role, role, JSON.stringify(claims));
      }
    });

    test('every answer that is not in order is refused, and says so in the audit', async () => {
      const now = Math.floor(Date.now() / 1000);
      const lies: Record<string, Lie> = {
        'another nonce': { claims: { nonce: 'other' } },
        'no nonce': { claims: { nonce: undefined } },
        'another audience': { claims: { aud: 'other' } },
        'several audiences, another one authorized': { claims: { aud: ['refloat-test', 'other'], azp: 'other' } },
        'another issuer': { claims: { iss: 'https://evil.example' } },
        'no subject': { claims: { sub: undefined } },
        expired: { claims: { iat: now - 900, exp: now - 600 } },
        'no expiry': { claims: { exp: undefined } },
        'not yet valid': { claims: { nbf: now + 600 } },
        'algorithm none': { signature: 'none' },
        'signed with the client’s secret': { signature: 'client-secret' },
        'signed by another key': { signature: 'stranger' },
        'a key that is not the issuer’s': { header: { kid: 'two' }, signature: 'stranger' },
        'no ID token': { withoutIdToken: true },
        'another state': { redirect: { state: 'other' } },
        'a code of its own': { redirect: { code: 'other' } },
        'the answer of another issuer (RFC 9207)': { redirect: { iss: 'https://evil.example' } },
        'an error': { redirect: { error: 'access_denied' } },
      };
      const rows = () => plane.database.db.select().from(audit).where(eq(audit.action, 'oidcCallback'));
      for (const [what, lie] of Object.entries(lies)) {
        const visitor = new Visitor(plane);
        atIssuer();
        issuer.lie = lie;
        const before = (await rows()).length;
        const answer = await visitor.signInByOidc();
        await refusedAs(
          lie.redirect?.['state'] === undefined ? 'OIDC_FAILED' : 'CHALLENGE_INVALID',
          what,
          answer,
          visitor,
        );
        const after = await rows();
        assert.equal(after.length, before + 1, what);
        assert.deepEqual([after.at(-1)?.outcome, after.at(-1)?.actor], ['refused', 'anonymous'], what);
      }
      issuer.lie = {};
    });

    test('an answer counts once, soon, and in the browser that asked', async () => {
      const visitor = new Visitor(plane);
      atIssuer();
      const begin = async (who = visitor) => who.depart((await who.call('POST', '/api/session/oidc', {})).body.url);
      const back = await begin();
      assert.equal(problemOf(await visitor.arrive(back)), null);
      assert.equal(problemOf(await visitor.arrive(back)), 'CHALLENGE_INVALID', 'replayed');
      const other = new Visitor(plane);
      await refusedAs('CHALLENGE_INVALID', 'no cookie', await other.arrive(await begin()), other);
      const theirs = await begin();
      await begin(other);
      await refusedAs('CHALLENGE_INVALID', 'another browser', await other.arrive(theirs), other);
      const late = await begin(other);
      await plane.database.db.update(challenges).set({ expiresAt: new Date(Date.now() - 1000) });
      await refusedAs('CHALLENGE_INVALID', 'late', await other.arrive(late), other);
      const mixed = new URL(await begin(other));
      mixed.searchParams.set('code', back.searchParams.get('code') ?? '');
      await refusedAs('OIDC_FAILED', 'a code that was used', await other.arrive(mixed), other);
      await refusedAs('CHALLENGE_INVALID', 'nothing', await other.call('GET', '/api/session/oidc/callback'), other);
    });

    test('leads back to pages of the console only', async () => {
      const visitor = new Visitor(plane);
      for (const returnTo of [
        'https://evil.example/',
        '//evil.example',
        '/\\evil.example',
        '/api/session',
        '/#a b',
        'x',
      ])
        assert.equal((await visitor.call('POST', '/api/session/oidc', { returnTo })).status, 422, returnTo);
    });

    test('a person stays the same, follows their claims, and is out when no rule matches any more', async () => {
      const visitor = new Visitor(plane);
      const name = atIssuer();
      await visitor.signInByOidc();
      const first = (await visitor.call('GET', '/api/session')).body.person.id;
      issuer.person = { ...issuer.person, groups: [], realm_access: { roles: ['ops'] }, preferred_username: 'renamed' };
      const second = new Visitor(plane);
      await second.signInByOidc();
      const { body } = await visitor.call('GET', '/api/session');
      assert.deepEqual([body.person.id, body.subject, body.projects], [first, name, null], 'at once, in every session');
      issuer.person = { ...issuer.person, realm_access: {} };
      assert.equal(problemOf(await new Visitor(plane).signInByOidc()), 'NO_ROLE');
      assert.equal((await visitor.call('GET', '/api/session')).status, 401);
      assert.equal((await second.call('GET', '/api/session')).status, 401);
    });

    test('a name that is taken is not taken over', async () => {
      const owner = new Visitor(plane);
      await owner.signInByLink({ name: 'Root' });
      const visitor = new Visitor(plane);
      atIssuer({ groups: ['shop-ops'], preferred_username: 'root' });
      await visitor.signInByOidc();
      const { body } = await visitor.call('GET', '/api/session');
      assert.equal(body.subject, 'root (localhost)');
      assert.equal(body.person.role, 'operator');
    });

    test('where a fresh proof is needed the issuer is asked to ask again, and its word on when is what counts', async () => {
      const hostId = await addHost(plane);
      const workload = await addWorkload(plane, hostId, { project: 'shop' });
      const path = `/api/workloads/${workload.id}/snapshots/${await addSnapshot(plane, workload)}/restore`;
      const visitor = new Visitor(plane);
      const restore = () => visitor.call('POST', path, {}, { 'x-confirm-restore': workload.name });
      atIssuer({ groups: ['shop-ops'] });
      issuer.lie = { claims: { auth_time: Math.floor(Date.now() / 1000) - 3600 } };
      await visitor.signInByOidc();
      assert.equal(issuer.asked.get('prompt'), null);
      assert.equal((await restore()).body.code, 'FRESH_PROOF_REQUIRED', 'signed in at the issuer an hour ago');
      assert.equal(
        (await visitor.call('POST', '/api/passkeys/challenge')).status,
        403,
        'no passkeys beside the issuer',
      );
      const proof = '/api/session/proof/oidc';
      assert.equal(problemOf(await visitor.signInByOidc(proof)), 'OIDC_FAILED', 'the issuer did not ask again');
      assert.deepEqual([issuer.asked.get('prompt'), issuer.asked.get('max_age')], ['login', '300']);
      issuer.lie = { claims: { auth_time: undefined } };
      assert.equal(problemOf(await visitor.signInByOidc(proof)), 'OIDC_FAILED', 'the issuer does not say when');
      const me = issuer.person;
      atIssuer();
      assert.equal(problemOf(await visitor.signInByOidc(proof)), 'OIDC_FAILED', 'somebody else');
      issuer.person = me;
      assert.equal((await restore()).status, 403);
      const proved = await visitor.signInByOidc(proof, '/#shop-db');
      assert.equal(proved.headers.get('location'), '/#shop-db');
      assert.equal((await restore()).status, 202);
      const local = new Visitor(plane);
      await local.signInByLink({ name: 'local' });
      assert.equal((await local.call('POST', proof, {})).body.code, 'FORBIDDEN');
    });

    test('an admin may disable whom the issuer manages, and no more', async () => {
      const visitor = new Visitor(plane);
      const name = atIssuer();
      await visitor.signInByOidc();
      const admin = new Visitor(plane);
      await admin.signInByLink({ name: 'admin' });
      const [row] = await plane.database.db.select().from(people).where(eq(people.name, name));
      const put = (body: object) => admin.call('PUT', `/api/people/${row?.id}`, body);
      assert.equal((await put({ role: 'admin' })).status, 422);
      assert.equal((await admin.call('POST', `/api/people/${row?.id}/link`)).status, 404);
      assert.equal((await put({ role: 'operator', projects: ['shop'], disabled: true })).status, 200);
      assert.equal((await visitor.call('GET', '/api/session')).status, 401);
      assert.equal(problemOf(await visitor.signInByOidc()), 'NO_ROLE');
    });
  });
}
