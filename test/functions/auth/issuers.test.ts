/** Trusted issuers: who may add them, what their tokens may do, and how their keys are fetched. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { lookup } from 'node:dns';
import { after, describe, test } from 'node:test';
import type { IssuerRule } from '../../../db/issuer-rule.ts';
import { matchesGlob, matchingRule } from '../../../functions/auth/issuer-rules.ts';
import { checkedUrl, fetchJsonBy, isAllowed } from '../../../functions/outbound.ts';
import { nodeFetchJson } from '../../../functions/outbound-node.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  call,
  mint,
  signedIn,
  startNodeControlPlane,
} from '../../helpers/control-plane.ts';
import { AUDIENCE, type TestIssuer, testIssuer } from '../../helpers/issuer.ts';
import { testDatabase } from '../../helpers/postgres.ts';

const plane = await startNodeControlPlane(await testDatabase());
after(() => plane.close());
const { sql } = plane.database;
const admin = (await mint(plane)).jwt;
const hostId = await addHost(plane);
const shop = await addWorkload(plane, hostId, { project: 'shop' });
const bank = await addWorkload(plane, hostId, { project: 'bank' });
const snapshotId = await addSnapshot(plane, shop);
const issuers: TestIssuer[] = [];
const elliptic = await testIssuer('ES256');
for (let count = 0; count < 7; count++) issuers.push(await testIssuer());
const next = (): TestIssuer => issuers.shift() ?? assert.fail();

const RULE = {
  claims: { repository: 'acme/shop', ref: 'refs/heads/main' },
  scopes: ['restores:create', 'workloads:read'],
  projects: ['shop'],
};
const bodyFor = (issuer: TestIssuer, more: object = {}) => ({
  name: `ci-${randomUUID()}`,
  issuer: issuer.url,
  audience: AUDIENCE,
  rules: [RULE],
  ...more,
});
const add = (body: object, token = admin) => call(plane, 'POST', '/api/issuers', { token, body });
const read = (token: string) => call(plane, 'GET', '/api/workloads', { token });
async function trusted(more: object = {}): Promise<{ issuer: TestIssuer; id: string; name: string }> {
  const issuer = next();
  const added = await add(bodyFor(issuer, more));
  assert.equal(added.status, 201, JSON.stringify(added.body));
  return { issuer, id: added.body.id, name: added.body.name };
}
const age = (id: string, fetchedSeconds: number, triedSeconds = 31) =>
  sql`update issuers set jwks_fetched_at = now() - make_interval(secs => ${fetchedSeconds}), jwks_tried_at = now() - make_interval(secs => ${triedSeconds}) where id = ${id}`;
const fetches = ({ requests }: TestIssuer): number => requests.filter((path) => path === '/jwks').length;

test('a job restores with the token that its CI system gave it, within its rule and no further', async () => {
  const { issuer, id, name } = await trusted();
  const token = await issuer.token();
  const path = `/api/workloads/${shop.id}/snapshots/${snapshotId}/restore`;
  const restored = await call(plane, 'POST', path, { token, headers: { 'x-confirm-restore': shop.name } });
  assert.equal(restored.status, 202, JSON.stringify(restored.body));
  assert.equal(restored.body.requestedBy, `${name}:repo:acme/shop:ref:refs/heads/main`);
  assert.deepEqual(
    (await read(token)).body.workloads.map((each: { id: string }) => each.id),
    [shop.id],
  );
  assert.equal((await call(plane, 'GET', `/api/workloads/${bank.id}`, { token })).status, 404, 'another project');
  assert.equal((await call(plane, 'GET', '/api/audit', { token })).status, 403, 'another scope');
  for (const claims of [
    { ref: 'refs/heads/evil' },
    { repository: 'evil/shop' },
    { ref: undefined },
    { repository: ['acme/shop'] },
    { repository: 'acme/shop ' },
  ]) {
    const refused = await read(await issuer.token(claims));
    assert.deepEqual([refused.status, refused.body.code], [403, 'FORBIDDEN'], JSON.stringify(claims));
  }
  assert.equal((await read(await next().token())).status, 401, 'an issuer that nobody trusts');
  assert.equal((await call(plane, 'DELETE', `/api/issuers/${id}`, { token: admin })).status, 204);
  assert.equal((await read(token)).status, 401, 'at once');
  assert.equal((await call(plane, 'DELETE', `/api/issuers/${id}`, { token: admin })).status, 404);
  const rows = await sql`select action, actor from audit where target = ${`issuer:${id}`} order by seq`;
  assert.deepEqual(
    rows.map((row) => row['action']),
    ['createIssuer', 'deleteIssuer'],
  );
});

test('only admins, with a fresh proof, and only with what they have themselves', async () => {
  const issuer = elliptic;
  const body = bodyFor(issuer, { algorithms: ['ES256'] });
  for (const [role, fresh, status, code] of [
    ['viewer', true, 403, 'FORBIDDEN'],
    ['operator', true, 403, 'FORBIDDEN'],
    ['admin', false, 403, 'FRESH_PROOF_REQUIRED'],
  ] as const) {
    const { headers } = await signedIn(plane, { role, fresh });
    const answer = await call(plane, 'POST', '/api/issuers', { body, headers });
    assert.deepEqual([answer.status, answer.body.code], [status, code], role);
  }
  const minor = (await mint(plane, { scopes: ['tokens:write', 'workloads:read'] })).jwt;
  assert.equal((await add(body, minor)).status, 403, 'restores:create is not its to give');
  assert.equal((await add(body)).status, 201, 'an issuer that signs by ES256');
  assert.equal((await read(await issuer.token())).status, 200);
  assert.equal(
    (await call(plane, 'GET', '/api/issuers', { token: admin })).body.issuers.some(
      (each: { issuer: string }) => each.issuer === issuer.url,
    ),
    true,
  );
  assert.equal((await add({ ...body, name: 'another-name' })).body.code, 'NAME_TAKEN', 'one entry for an issuer');
});

test('what cannot be trusted is refused with a code', async () => {
  const issuer = next();
  const rule = (change: object) => ({ rules: [{ ...RULE, ...change }] });
  const table: [string, object, number, string][] = [
    ['a rule for everybody', rule({ claims: {} }), 422, 'VALIDATION_FAILED'],
    ['no rule', { rules: [] }, 422, 'VALIDATION_FAILED'],
    ['a right to mint tokens', rule({ scopes: ['tokens:write'] }), 422, 'VALIDATION_FAILED'],
    ['a right to add hosts', rule({ scopes: ['hosts:write'] }), 422, 'VALIDATION_FAILED'],
    ['an unknown scope', rule({ scopes: ['everything'] }), 422, 'VALIDATION_FAILED'],
    ['an unknown workload', rule({ workloads: [randomUUID()] }), 422, 'VALIDATION_FAILED'],
    ['a condition of another form', rule({ claims: { ref: { regex: '.*' } } }), 422, 'VALIDATION_FAILED'],
    ['no signature', { algorithms: ['none'] }, 422, 'VALIDATION_FAILED'],
    ['a shared secret', { algorithms: ['HS256'] }, 422, 'VALIDATION_FAILED'],
    ['ourselves', { issuer: 'urn:refloat:local' }, 422, 'ISSUER_INVALID'],
    ['a file', { issuer: 'file:///etc/passwd' }, 422, 'ISSUER_INVALID'],
    ['a login in the address', { issuer: issuer.url.replace('//', '//user:pw@') }, 422, 'ISSUER_INVALID'],
    ['plain HTTP', { issuer: 'http://example.org' }, 422, 'ISSUER_INVALID'],
    ['another spelling than its document has', { issuer: `${issuer.url}/` }, 422, 'ISSUER_INVALID'],
    ['nobody there', { issuer: 'http://127.0.0.1:9' }, 503, 'ISSUER_UNREACHABLE'],
  ];
  for (const [what, change, status, code] of table) {
    const answer = await add(bodyFor(issuer, change));
    assert.deepEqual([answer.status, answer.body.code], [status, code], `${what}: ${JSON.stringify(answer.body)}`);
  }
  const discovery = issuer.answer('/.well-known/openid-configuration');
  const answers: [string, (path: string) => ReturnType<TestIssuer['answer']>, string][] = [
    [
      'a redirect',
      () => ({ status: 302, headers: { location: 'http://169.254.169.254/latest' }, body: '' }),
      'ISSUER_UNREACHABLE',
    ],
    [
      'keys behind a redirect',
      (path) => (path === '/jwks' ? { status: 307, headers: { location: '/other' }, body: '' } : discovery),
      'ISSUER_UNREACHABLE',
    ],
    ['too much', () => ({ body: `"${'x'.repeat(300_000)}"` }), 'ISSUER_UNREACHABLE'],
    ['no JSON', () => ({ body: '<html>' }), 'ISSUER_UNREACHABLE'],
    [
      'keys in a private network',
      () => ({ body: JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://10.0.0.1/jwks' }) }),
      'ISSUER_INVALID',
    ],
    [
      'the document of another',
      () => ({ body: JSON.stringify({ issuer: 'https://evil.example', jwks_uri: `${issuer.url}/jwks` }) }),
      'ISSUER_INVALID',
    ],
    ['no keys', (path) => (path === '/jwks' ? { body: '{"keys":[]}' } : discovery), 'ISSUER_INVALID'],
    [
      'a secret as key',
      (path) => (path === '/jwks' ? { body: '{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}' } : discovery),
      'ISSUER_INVALID',
    ],
  ];
  for (const [what, answer, code] of answers) {
    issuer.answer = answer;
    assert.equal((await add(bodyFor(issuer))).body.code, code, what);
  }
  assert.ok(!issuer.requests.includes('/other'), 'no redirect was followed');
});

describe('keys', () => {
  test('a new key of the issuer is found once the cool-down is over, and a flood of unknown ones fetches once', async () => {
    const { issuer, id } = await trusted();
    await issuer.rotate();
    const token = await issuer.token();
    assert.equal((await read(token)).status, 401, 'its keys were fetched a moment ago');
    assert.equal(fetches(issuer), 1);
    await age(id, 40);
    const flood = await Promise.all(
      Array.from({ length: 30 }, async () => read(await issuer.token({}, { kid: randomUUID() }))),
    );
    assert.ok(flood.every(({ status }) => status === 401));
    assert.equal(fetches(issuer), 2);
    assert.equal((await read(token)).status, 200, 'by the key that the flood has fetched');
    assert.equal(fetches(issuer), 2);
  });

  test('an issuer that is away is believed for an hour, and asked twice a minute', async () => {
    const { issuer, id } = await trusted();
    const { answer } = issuer;
    issuer.answer = () => ({ status: 500, body: '' });
    await age(id, 700);
    assert.equal((await read(await issuer.token())).status, 200, 'stale, and nothing better to be had');
    const asked = issuer.requests.length;
    assert.equal((await read(await issuer.token())).status, 200);
    assert.equal(issuer.requests.length, asked, 'not again at once');
    await age(id, 3700);
    const late = await read(await issuer.token());
    assert.deepEqual([late.status, late.body.code], [503, 'ISSUER_UNREACHABLE']);
    assert.equal(late.headers.get('retry-after'), '5');
    issuer.answer = answer;
    await age(id, 3700);
    assert.equal((await read(await issuer.token())).status, 200, 'it is back');
    assert.equal((await read(await issuer.token({}, { kid: 'other' }))).status, 401);
  });

  test('a key that the issuer has withdrawn counts no longer than ten minutes', async () => {
    const { issuer, id } = await trusted();
    const token = await issuer.token();
    await issuer.rotate();
    await age(id, 601);
    assert.equal((await read(token)).status, 401);
  });
});

test('a server that is not told otherwise reaches public addresses only', async () => {
  for (const address of [
    'https://10.1.2.3',
    'https://192.168.0.1',
    'https://172.16.0.1',
    'https://169.254.169.254',
    'https://100.64.0.1',
    'https://0.0.0.0',
    'https://224.0.0.1',
    'https://[fd00::1]',
    'https://[fe80::1]',
    'https://[::ffff:10.0.0.1]',
    'https://[64:ff9b::10.0.0.1]',
    'https://127.0.0.1',
    'https://0x7f.1',
    'https://2130706433',
    'https://localhost',
    'https://x.localhost',
    'https://localhost.',
    'https://[::1]',
    'https://[::]',
    'http://example.org',
    'ftp://example.org',
    'https://a:b@example.org',
    'https://example.org/#x',
    'nonsense',
    '',
  ])
    assert.throws(() => checkedUrl(address, 'public'), { code: 'ISSUER_INVALID' }, address);
  assert.equal(
    checkedUrl('https://token.actions.githubusercontent.com', 'public').hostname,
    'token.actions.githubusercontent.com',
  );
  assert.equal(checkedUrl('https://10.1.2.3', 'private').hostname, '10.1.2.3');
  assert.throws(() => checkedUrl('http://10.1.2.3', 'loopback'), { code: 'ISSUER_INVALID' });
  assert.deepEqual(
    ['169.254.169.254', '127.0.0.1', '10.0.0.1', '8.8.8.8'].map((each) => isAllowed(each, 'private')),
    [false, false, true, true],
  );
  await assert.rejects(fetchJsonBy('public')('https://127.0.0.1/x'), { code: 'ISSUER_INVALID' });
});

test('a name is looked at by what it resolves to, at the connection itself', async () => {
  const issuer = next();
  const resolving = (...addresses: string[]) =>
    ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      )) as unknown as typeof lookup;
  const named = issuer.url.replace('127.0.0.1', 'ci.localhost');
  assert.ok(await nodeFetchJson('loopback', resolving('127.0.0.1'))(`${named}/jwks`));
  for (const addresses of [['169.254.169.254'], ['127.0.0.1', '169.254.169.254']])
    await assert.rejects(nodeFetchJson('loopback', resolving(...addresses))(`${named}/jwks`), {
      code: 'ISSUER_INVALID',
    });
  await assert.rejects(nodeFetchJson('public', resolving('127.0.0.1'))('https://ci.example.org/jwks'), {
    code: 'ISSUER_INVALID',
  });
});

test('globs: a star stops at a slash, two do not; nothing else is special, and nothing takes long', () => {
  const table: [string, string, boolean][] = [
    ['refs/tags/v*', 'refs/tags/v1', true],
    ['refs/tags/v*', 'refs/tags/v1/x', false],
    ['refs/**', 'refs/tags/v1/x', true],
    ['*', '', true],
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['**', 'a/b', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['a?c', 'ac', false],
    ['acme/*', 'acme/shop', true],
    ['acme/*', 'evil/acme/shop', false],
    ['acme/shop', 'acme/shopx', false],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['a+', 'aa', false],
    ['**/main', 'refs/heads/main', true],
    ['é?', 'é😀', true],
    ['', '', true],
    ['', 'a', false],
  ];
  for (const [glob, text, expected] of table) assert.equal(matchesGlob(glob, text), expected, `${glob} ${text}`);
  assert.equal(matchesGlob('*a'.repeat(100), 'a'.repeat(1000).concat('b')), false);
});

test('the first rule that matches decides, by claims of the same type, and a claim of the prototype is none', () => {
  const rules: IssuerRule[] = [
    { claims: { ref: { glob: 'refs/tags/*' }, protected: true }, scopes: ['a'] },
    { claims: { ref: { glob: 'refs/**' } }, scopes: ['b'] },
    { claims: { toString: 'x' }, scopes: ['c'] },
    { claims: {}, scopes: ['d'] },
  ];
  assert.deepEqual(matchingRule(rules, { ref: 'refs/tags/1', protected: true })?.scopes, ['a']);
  assert.deepEqual(matchingRule(rules, { ref: 'refs/tags/1', protected: 'true' })?.scopes, ['b']);
  assert.equal(matchingRule(rules, { ref: ['refs/tags/1'] }), undefined);
  assert.equal(matchingRule(rules, {}), undefined);
});
