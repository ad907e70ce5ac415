/**
 * Every route × everybody who may ask, with the exact status. The routes come from the app's own table: one without a row here
 * fails, and so does a row whose route is gone.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { eq } from 'drizzle-orm';
import { SignJWT } from 'jose';
import { newId } from '../../db/ids.ts';
import { intents, tokens } from '../../db/schema/index.ts';
import { SCOPES_OF_TOKENS } from '../../functions/auth/scopes.ts';
import { routeTable } from '../helpers/app-routes.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  jwtContext,
  mint,
  move,
  signedIn,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';
import { AUDIENCE, testIssuer } from '../helpers/issuer.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { EXPECTED, ISSUER_SCOPES, WHO, type Who } from './authorization-matrix.ts';

const issuer = await testIssuer();
let plane: ControlPlane;
let admin: string;
let hostId: string;
let elsewhere: string;
const hostLogins: Partial<Record<Who, string>> = {};

before(async () => {
  // All principals ask from one address.
  plane = await startNodeControlPlane(await testDatabase(), { REFLOAT_RATE_LIMITS: 'sign-in=100000:100000' });
  admin = (await mint(plane)).jwt;
  hostId = await addHost(plane);
  elsewhere = (await addWorkload(plane, hostId)).id;
  hostLogins['host role'] = await enrolled(hostId);
  hostLogins['other host'] = await enrolled(await addHost(plane));
  const trusted = await call(plane, 'POST', '/api/issuers', { token: admin, body: issuerBody(issuer.url) });
  assert.equal(trusted.status, 201, JSON.stringify(trusted.body));
});
after(() => plane.close());

/** A host's own credential, which is for Postgres, as it could be tried here. */
async function enrolled(id: string): Promise<string> {
  const { body } = await call(plane, 'POST', `/api/hosts/${id}/enrollment`, { token: admin });
  const login = new URL((await call(plane, 'POST', '/api/enroll', { body: { token: body.token } })).body.databaseUrl);
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
}

/** What each `who` sends; made anew for each request, since some requests end their credential. */
async function credentialOf(who: Who, scope: string | undefined): Promise<Record<string, string>> {
  const bearer = (jwt: string) => ({ authorization: `Bearer ${jwt}` });
  switch (who) {
    case 'nobody':
      return {};
    case 'expired':
      return bearer((await mint(plane, { ttlSeconds: -600 })).jwt);
    case 'wrong audience': {
      const { keys, issuer } = await jwtContext(plane);
      const { jti } = await mint(plane);
      const token = new SignJWT({ scope: SCOPES_OF_TOKENS.join(' ') })
        .setProtectedHeader({ alg: 'EdDSA', typ: 'refloat-token+jwt', kid: keys.signing(new Date()).kid })
        .setIssuer(issuer)
        .setAudience('another-api')
        .setSubject('tester')
        .setJti(jti)
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime('5m');
      return bearer(await token.sign(keys.signing(new Date()).key));
    }
    case 'revoked': {
      const { jwt, jti } = await mint(plane);
      await plane.database.db.update(tokens).set({ revokedAt: new Date() }).where(eq(tokens.jti, jti));
      return bearer(jwt);
    }
    case 'viewer':
    case 'operator':
    case 'admin':
      return { ...(await signedIn(plane, { role: who })).headers };
    case 'admin without fresh proof':
      return { ...(await signedIn(plane, { role: 'admin', fresh: false })).headers };
    case 'token with the scope':
      return bearer((await mint(plane, { scopes: scope === undefined ? SCOPES_OF_TOKENS : [scope] })).jwt);
    case 'token without it':
      return bearer((await mint(plane, { scopes: SCOPES_OF_TOKENS.filter((each) => each !== scope) })).jwt);
    case 'token of another workload':
      return bearer((await mint(plane, { workloads: [elsewhere] })).jwt);
    case 'host role':
    case 'other host':
      return { authorization: hostLogins[who] ?? '' };
    case 'trusted issuer, matching':
      return bearer(await issuer.token());
    case 'trusted issuer, not matching':
      return bearer(await issuer.token({ repository: 'acme/other' }));
    default:
      return who satisfies never;
  }
}

interface Ask {
  readonly path?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

async function restorable() {
  const workload = await addWorkload(plane, hostId);
  const snapshotId = await addSnapshot(plane, workload);
  return { workload, snapshotId, base: `/api/workloads/${workload.id}/snapshots/${snapshotId}` };
}

async function intentOf(kind: 'restore' | 'plan', done = false) {
  const workload = await addWorkload(plane, hostId);
  const id = newId();
  await plane.database.db.insert(intents).values({ id, kind, workloadId: workload.id, hostId, requestedBy: 't' });
  if (done) {
    await move(plane, id, ['claimed', 'running', 'succeeded'], {
      result: { held: [{ volume: 'data', live: '/a', previous: '/b' }] },
    });
  }
  return { id, workload };
}

const issuerBody = (url: string) => ({
  name: `ci-${randomUUID()}`,
  issuer: url,
  audience: AUDIENCE,
  rules: [{ claims: { repository: 'acme/shop' }, scopes: ISSUER_SCOPES }],
});
const config = (name: string) => ({ name, project: 'p', hostId, image: 'web:1', volumes: [] });
const body = (value: unknown) => () => Promise.resolve({ body: value });

/** Requests that are right in everything but who asks; a route that is not here is asked as it stands. */
const ASKS: Readonly<Record<string, () => Promise<Ask>>> = {
  'POST /api/hosts': () => Promise.resolve({ body: { name: `h-${randomUUID()}` } }),
  'DELETE /api/hosts/:id': async () => ({ path: `/api/hosts/${await addHost(plane)}` }),
  'POST /api/hosts/:id/enrollment': async () => ({ path: `/api/hosts/${hostId}/enrollment` }),
  'POST /api/enroll': body({ token: 'nonsense' }),
  'POST /api/workloads': () => Promise.resolve({ body: config(`w-${randomUUID()}`) }),
  'POST /api/workloads/adopt': () => Promise.resolve({ body: { container: 'no-such-container' } }),
  'GET /api/workloads/:id': async () => ({ path: `/api/workloads/${(await restorable()).workload.id}` }),
  'PUT /api/workloads/:id': async () => {
    const { workload } = await restorable();
    return { path: `/api/workloads/${workload.id}`, body: config(workload.name) };
  },
  'POST /api/workloads/:id/deploy': async () => ({
    path: `/api/workloads/${(await restorable()).workload.id}/deploy`,
    body: {},
  }),
  'GET /api/workloads/:id/snapshots': async () => ({
    path: `/api/workloads/${(await restorable()).workload.id}/snapshots`,
  }),
  'POST /api/workloads/:id/snapshots': async () => ({
    path: `/api/workloads/${(await restorable()).workload.id}/snapshots`,
  }),
  'GET /api/workloads/:id/snapshots/:sid': async () => ({ path: (await restorable()).base }),
  'DELETE /api/workloads/:id/snapshots/:sid': async () => ({ path: (await restorable()).base }),
  'POST /api/workloads/:id/snapshots/:sid/plan': async () => ({ path: `${(await restorable()).base}/plan` }),
  'POST /api/workloads/:id/snapshots/:sid/verify': async () => ({ path: `${(await restorable()).base}/verify` }),
  'POST /api/workloads/:id/snapshots/:sid/restore': async () => {
    const { base, workload } = await restorable();
    return { path: `${base}/restore`, headers: { 'x-confirm-restore': workload.name } };
  },
  'GET /api/intents/:id': async () => ({ path: `/api/intents/${(await intentOf('plan')).id}` }),
  'GET /api/intents/:id/events': async () => ({ path: `/api/intents/${(await intentOf('plan', true)).id}/events` }),
  'POST /api/intents/:id/undo': async () => {
    const { id, workload } = await intentOf('restore', true);
    return { path: `/api/intents/${id}/undo`, headers: { 'x-confirm-restore': workload.name } };
  },
  'POST /api/intents/:id/cancel': async () => ({ path: `/api/intents/${(await intentOf('restore')).id}/cancel` }),
  'POST /api/tokens': body({ scopes: ['tokens:write'], ttlSeconds: 60 }),
  'DELETE /api/tokens/:jti': async () => ({ path: `/api/tokens/${(await mint(plane)).jti}` }),
  'POST /api/session': () => Promise.resolve({ body: { token: randomUUID() } }),
  'POST /api/session/oidc': body({ returnTo: '/' }),
  'POST /api/session/proof/oidc': body({ returnTo: '/' }),
  'DELETE /api/sessions/:id': () => Promise.resolve({ path: `/api/sessions/${newId()}` }),
  'PUT /api/passkeys/:id': () => Promise.resolve({ path: `/api/passkeys/${'A'.repeat(22)}`, body: { name: 'n' } }),
  'DELETE /api/passkeys/:id': () => Promise.resolve({ path: `/api/passkeys/${'A'.repeat(22)}` }),
  'POST /api/issuers': async () => ({ body: issuerBody((await testIssuer()).url) }),
  'DELETE /api/issuers/:id': async () => {
    const body = issuerBody((await testIssuer()).url);
    const { id } = (await call(plane, 'POST', '/api/issuers', { token: admin, body })).body;
    return { path: `/api/issuers/${id}` };
  },
  'POST /api/workloads/:id/imports': async () => ({
    path: `/api/workloads/${(await restorable()).workload.id}/imports`,
    body: { archives: [{ file: 'data.tar' }] },
  }),
  'POST /api/people': () => Promise.resolve({ body: { name: `p-${randomUUID()}`, role: 'viewer' } }),
  'PUT /api/people/:id': async () => ({
    path: `/api/people/${(await signedIn(plane, { role: 'viewer' })).person.id}`,
    body: { role: 'operator' },
  }),
  'POST /api/people/:id/link': async () => ({
    path: `/api/people/${(await signedIn(plane, { role: 'viewer' })).person.id}/link`,
  }),
  'GET /language/:language': () => Promise.resolve({ path: '/language/en' }),
};

describe('every route', async () => {
  const routes = await routeTable();

  test('has a row, and every row has a route', () => {
    assert.deepEqual([...routes].sort(), Object.keys(EXPECTED).sort());
    assert.ok(routes.length * WHO.length >= 450, `${routes.length * WHO.length} cases`);
  });

  for (const route of routes) {
    test(route, async () => {
      const expected = EXPECTED[route] ?? assert.fail('no row');
      const [method = '', pattern = ''] = route.split(' ');
      const found: Partial<Record<Who, number>> = {};
      for (const who of WHO) {
        const { path = pattern, ...more } = (await ASKS[route]?.()) ?? {};
        const headers = { ...(await credentialOf(who, expected.scope)), ...more.headers };
        const answer = await call(plane, method, path, { ...more, headers });
        found[who] = answer.status;
        if (answer.status >= 400) assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      }
      assert.deepEqual(found, expected.statuses);
    });
  }
});
