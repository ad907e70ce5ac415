/** Attacks on tokens, each with a name: all of them are answered with 401 and the same code. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, KeyObject } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { eq } from 'drizzle-orm';
import { newId } from '../../../db/ids.ts';
import { tokens } from '../../../db/schema/index.ts';
import { generateKeySet } from '../../../functions/auth/key-set.ts';
import { createOneTimeLink } from '../../../functions/auth/one-time.ts';
import {
  addHost,
  type CallOptions,
  call,
  mint,
  signedIn,
  signInSecret,
  startNodeControlPlane,
} from '../../helpers/control-plane.ts';
import { forge, part, privateKeyOf, twice, without } from '../../helpers/forge.ts';
import { AUDIENCE, testIssuer } from '../../helpers/issuer.ts';
import { testDatabase } from '../../helpers/postgres.ts';

const plane = await startNodeControlPlane(await testDatabase());
after(() => plane.close());
const own = privateKeyOf(plane.env['REFLOAT_SIGNING_KEYS'] ?? '');
const foreign = privateKeyOf(await generateKeySet());
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const issuer = await testIssuer('RS256');
const other = await testIssuer('RS256');
const admin = (await mint(plane)).jwt;
const trust = async (name: string, url: string, audience: string) => {
  const rules = [{ claims: { repository: 'acme/shop' }, scopes: ['workloads:read'] }];
  const answer = await call(plane, 'POST', '/api/issuers', {
    token: admin,
    body: { name, issuer: url, audience, rules },
  });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.id as string;
};
await trust('ci', issuer.url, AUDIENCE);
const otherId = await trust('other', other.url, 'urn:other-audience');
const external = KeyObject.from(issuer.keys().privateKey);
const { jti } = await mint(plane);
const now = Math.floor(Date.now() / 1000);

const header = { alg: 'EdDSA', typ: 'refloat-token+jwt', kid: own.jwk['kid'] ?? '' };
const payload = {
  iss: 'urn:refloat:local',
  aud: 'refloat-api',
  sub: 'tester',
  jti,
  iat: now,
  nbf: now,
  exp: now + 600,
  scope: 'workloads:read',
};
const externalHeader = { alg: 'RS256', typ: 'JWT', kid: issuer.keys().kid };
const externalPayload = {
  iss: issuer.url,
  aud: AUDIENCE,
  sub: 'repo:acme/shop',
  jti: newId(),
  iat: now,
  nbf: now,
  exp: now + 300,
  repository: 'acme/shop',
};
type Change = Readonly<Record<string, unknown>>;
const make = (
  headerChange: Change | string = {},
  payloadChange: Change | string | Uint8Array = {},
  key: Parameters<typeof forge>[0]['key'] = own.key,
) =>
  forge({
    header: typeof headerChange === 'string' ? headerChange : { ...header, ...headerChange },
    payload:
      typeof payloadChange === 'string' || payloadChange instanceof Uint8Array
        ? payloadChange
        : { ...payload, ...payloadChange },
    key,
  });
const makeExternal = (
  headerChange: Change | string = {},
  payloadChange: Change | string = {},
  key: Parameters<typeof forge>[0]['key'] = external,
) =>
  forge({
    header: typeof headerChange === 'string' ? headerChange : { ...externalHeader, ...headerChange },
    payload: typeof payloadChange === 'string' ? payloadChange : { ...externalPayload, ...payloadChange },
    key,
  });
const good = make();
const [h = '', p = '', s = ''] = good.split('.');
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
const externalPem = KeyObject.from(issuer.keys().privateKey).export({ type: 'pkcs8', format: 'pem' });

const revoked = await mint(plane);
await call(plane, 'DELETE', `/api/tokens/${revoked.jti}`, { token: admin });
const expiredRow = await mint(plane);
await plane.database.db
  .update(tokens)
  .set({ expiresAt: new Date(Date.now() - 1) })
  .where(eq(tokens.jti, expiredRow.jti));
const session = (await signedIn(plane)).headers.cookie.replace('refloat_session=', '');
const enrollment = await createOneTimeLink(
  plane.database.db,
  { purpose: 'enrollment', subject: 'h', hostId: await addHost(plane) },
  60,
  new Date(),
);
const removed = await other.token({ aud: 'urn:other-audience' });
assert.equal((await call(plane, 'GET', '/api/workloads', { token: removed })).status, 200);
assert.equal((await call(plane, 'DELETE', `/api/issuers/${otherId}`, { token: admin })).status, 204);

/** A text as bearer token, or a whole request. */
type Attack = string | CallOptions;
const STRUCTURE: Record<string, Attack> = {
  'no token': { headers: { authorization: 'Bearer' } },
  'an empty token': { headers: { authorization: 'Bearer ' } },
  'another scheme': { headers: { authorization: `Basic ${good}` } },
  'no scheme': { headers: { authorization: good } },
  'two tokens': { headers: { authorization: `Bearer ${good} ${good}` } },
  'two tokens with a comma': { headers: { authorization: `Bearer ${good},${good}` } },
  'a bad token beside a good cookie': { headers: { authorization: 'Bearer x', cookie: `refloat_session=${session}` } },
  'one part': h,
  'two parts': `${h}.${p}`,
  'four parts': `${good}.${s}`,
  'five parts, as of an encrypted token': `${good}.${s}.${s}`,
  'dots alone': '..',
  'a dot in front': `.${good}`,
  'a dot behind': `${good}.`,
  'an empty header': `.${p}.${s}`,
  'an empty payload': `${h}..${s}`,
  'an empty signature': `${h}.${p}.`,
  'half a signature': good.slice(0, -43),
  'a longer signature': `${good}AAAA`,
  'padding behind the signature': `${good}==`,
  'padding behind the header': `${h}=.${p}.${s}`,
  'padding behind the payload': `${h}.${p}=.${s}`,
  'the other alphabet': `${h}.${p}.${s.replaceAll('-', '+').replaceAll('_', '/')}+/`,
  'an impossible length': `${h}.${p}.${s}A`,
  'a twin of the signature in base64': `${h}.${p}.${twin(s)}`,
  'a twin of the header in base64': `${twin(part({ ...header, x: '' }))}.${p}.${s}`,
  'a header that is no JSON': `${part('{alg:EdDSA}')}.${p}.${s}`,
  'a header that is a list': make('[]'),
  'a header that is null': make('null'),
  'a payload that is no JSON': make({}, 'not json'),
  'a payload that is a list': make({}, `[${JSON.stringify(payload)}]`),
  'a payload that is a string': make({}, JSON.stringify(JSON.stringify(payload))),
  'a payload that is null': make({}, 'null'),
  'a payload that is no UTF-8': make(
    {},
    Buffer.concat([Buffer.from('{"sub":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
  ),
  'a payload behind a byte order mark': make({}, `\ufeff${JSON.stringify(payload)}`),
  'a payload with something behind it': make({}, `${JSON.stringify(payload)}{}`),
  'a payload with a comment': make({}, `${JSON.stringify(payload).slice(0, -1)}/**/}`),
  'JSON serialization, flattened': JSON.stringify({ protected: h, payload: p, signature: s }),
  'JSON serialization, general': JSON.stringify({ payload: p, signatures: [{ protected: h, signature: s }] }),
  'JSON serialization in base64': part({ protected: h, payload: p, signature: s }),
  'a character too many for 8 KiB': make({}, { sub: 'x'.repeat(5800) }),
  'nine thousand characters of signature': `${good}${'A'.repeat(9000)}`,
  'a token in a token': make({ cty: 'JWT' }, part(good)),
  'a token in a token, in small letters': make({ cty: 'jwt' }),
  'a token as payload': make({}, JSON.stringify(good)),
  'a signature of nothing': `${h}.${p}.${part('')}x`,
  'a signature of zeros': `${h}.${p}.${Buffer.alloc(64).toString('base64url')}`,
  'the signature of another payload': `${h}.${part({ ...payload, sub: 'root' })}.${s}`,
  'the signature of another header': `${part({ ...header, x: 1 })}.${p}.${s}`,
};

const ALGORITHMS: Record<string, Attack> = {
  ...Object.fromEntries(
    ['none', 'None', 'NONE', 'nOnE', 'null', ''].flatMap((alg) => [
      [`alg "${alg}" without a signature`, `${part({ ...header, alg })}.${p}.`],
      [`alg "${alg}" with the signature kept`, `${part({ ...header, alg })}.${p}.${s}`],
      [`alg "${alg}", signed`, make({ alg })],
    ]),
  ),
  'HS256 with the public key as secret': make({ alg: 'HS256' }, {}, Buffer.from(own.jwk['x'] ?? '', 'base64url')),
  'HS256 with the text of the public key': make({ alg: 'HS256' }, {}, own.jwk['x'] ?? ''),
  'HS256 with the published key': make(
    { alg: 'HS256' },
    {},
    JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: own.jwk['x'] }),
  ),
  'HS256 with an empty secret': make({ alg: 'HS256' }, {}, ''),
  'HS512 in name': make({ alg: 'HS512' }),
  'RS256 with a key of the attacker': make({ alg: 'RS256' }, {}, rsa.privateKey),
  'RS256 in name': make({ alg: 'RS256' }),
  'ES256 in name': make({ alg: 'ES256' }),
  'PS256 in name': make({ alg: 'PS256' }),
  'Ed25519, the other name of the same': make({ alg: 'Ed25519' }),
  'eddsa in small letters': make({ alg: 'eddsa' }),
  'EdDSA with a space': make({ alg: 'EdDSA ' }),
  'alg missing': make(JSON.stringify(without(header, 'alg'))),
  'alg null': make({ alg: null }),
  'alg a number': make({ alg: 1 }),
  'alg a list': make({ alg: ['EdDSA'] }),
  'alg twice': make(twice(header, 'alg', 'none')),
  'alg twice, the good one last': make(twice({ ...header, alg: 'none' }, 'alg', 'EdDSA')),
  'dir, as of an encrypted token': make({ alg: 'dir', enc: 'A256GCM' }),
};

const HEADER: Record<string, Attack> = {
  'typ missing': make(JSON.stringify(without(header, 'typ'))),
  'typ JWT': make({ typ: 'JWT' }),
  'typ of a session': make({ typ: 'refloat-session+jwt' }),
  'typ in other letters': make({ typ: 'refloat-token+JWT' }),
  'typ as media type': make({ typ: 'application/refloat-token+jwt' }),
  'typ a number': make({ typ: 7 }),
  'typ twice': make(twice(header, 'typ', 'refloat-token+jwt')),
  'kid missing': make(JSON.stringify(without(header, 'kid'))),
  ...Object.fromEntries(
    [
      '',
      'other',
      '../../../../etc/passwd',
      '/dev/null',
      'file:///dev/null',
      "' or 1=1 --",
      "'; drop table tokens; --",
      "' union select 'AAAA",
      '__proto__',
      'constructor',
      'toString',
      `${own.jwk['kid']}\0`,
      ` ${own.jwk['kid']}`,
      `${own.jwk['kid']}/`,
      'x'.repeat(4000),
      '*',
      '%',
      '$(id)',
      '|id',
    ].map((kid) => [`kid ${JSON.stringify(kid.slice(0, 30))}`, make({ kid })]),
  ),
  'kid a number': make({ kid: 0 }),
  'kid null': make({ kid: null }),
  'kid a list': make({ kid: [header.kid] }),
  'kid an object': make({ kid: { toString: header.kid } }),
  'kid twice': make(twice(header, 'kid', 'other')),
  'kid twice, the good one last': make(twice({ ...header, kid: 'other' }, 'kid', header.kid), {}, foreign.key),
  'jwk with the attacker’s key': make({ jwk: { kty: 'OKP', crv: 'Ed25519', x: foreign.jwk['x'] } }, {}, foreign.key),
  'jwk with our own key': make({ jwk: { kty: 'OKP', crv: 'Ed25519', x: own.jwk['x'] } }),
  'jku to the attacker': make({ jku: `${other.url}/jwks`, kid: other.keys().kid }, {}, foreign.key),
  'x5u to the attacker': make({ x5u: `${other.url}/cert` }, {}, foreign.key),
  'x5c of the attacker': make({ x5c: [pem.toString().replaceAll(/-.*-|\n/g, '')] }, {}, foreign.key),
  x5t: make({ x5t: 'AAAA' }),
  'crit empty': make({ crit: [] }),
  'crit of a claim': make({ crit: ['exp'] }),
  'crit unknown': make({ crit: ['refloat'], refloat: true }),
  'b64 false': make({ b64: false, crit: ['b64'] }),
  'b64 false without crit': make({ b64: false }),
  'b64 true': make({ b64: true, crit: ['b64'] }),
  'b64 false with a payload that is not encoded': `${part({ ...header, b64: false, crit: ['b64'] })}.{}.${s}`,
  zip: make({ zip: 'DEF' }),
  enc: make({ enc: 'A256GCM' }),
  'a header that we do not write': make({ note: 'x' }),
  'a member that is the prototype': make(`${JSON.stringify(header).slice(0, -1)},"__proto__":{"alg":"none"}}`),
};

const CLAIMS: Record<string, Attack> = {};
for (const name of Object.keys(payload)) {
  const value = payload[name as keyof typeof payload];
  CLAIMS[`${name} missing`] = make({}, JSON.stringify(without(payload, name)));
  CLAIMS[`${name} twice, the same`] = make({}, twice(payload, name, value));
  CLAIMS[`${name} twice, another`] = make({}, twice({ ...payload, [name]: 'x' }, name, value));
  for (const wrong of [null, true, [], {}, typeof value === 'string' ? 7 : String(value)])
    CLAIMS[`${name} as ${JSON.stringify(wrong)}`] = make({}, { [name]: wrong });
}
Object.assign(CLAIMS, {
  'iss of somebody else': make({}, { iss: 'https://evil.example' }),
  'iss with a slash behind it': make({}, { iss: `${payload.iss}/` }),
  'iss in capitals': make({}, { iss: payload.iss.toUpperCase() }),
  'aud of somebody else': make({}, { aud: 'other' }),
  'aud a list with ours': make({}, { aud: ['refloat-api'] }),
  'aud a list with ours and another': make({}, { aud: ['refloat-api', 'other'] }),
  'aud that begins like ours': make({}, { aud: 'refloat-api.evil' }),
  'sub empty': make({}, { sub: '' }),
  'sub with a control character': make({}, { sub: 'a\u0000b' }),
  'jti that is no id': make({}, { jti: "' or 1=1 --" }),
  'jti that was never minted': make({}, { jti: newId() }),
  'jti with a space': make({}, { jti: ` ${jti}` }),
  'expired for a minute and more': make({}, { iat: now - 600, nbf: now - 600, exp: now - 62 }),
  'expired long ago': make({}, { iat: 1, nbf: 1, exp: 2 }),
  'exp in milliseconds': make({}, { exp: (now + 600) * 1000 }),
  'exp negative': make({}, { exp: -1 }),
  'exp with a fraction': make({}, { exp: now + 600.5 }),
  'exp infinite': make({}, JSON.stringify(payload).replace(/"exp":\d+/, '"exp":1e400')),
  'exp before iat': make({}, { iat: now + 30, exp: now + 20 }),
  'a life of 91 days': make({}, { exp: now + 91 * 86_400 }),
  'not valid for another ten minutes': make({}, { nbf: now + 600, exp: now + 700 }),
  'not valid for a year': make({}, { nbf: now + 31_536_000, exp: now + 31_536_100 }),
  'issued in the future': make({}, { iat: now + 600, exp: now + 700 }),
  'a claim that we do not write': make({}, { admin: true }),
  'scopes as a list': make({}, { scope: ['workloads:read'] }),
});

const PURPOSE: Record<string, Attack> = {
  'a session as bearer': session,
  'a token as cookie': { headers: { cookie: `refloat_session=${admin}` } },
  'a token as the secure cookie': { headers: { cookie: `__Host-refloat=${admin}` } },
  'a session that a token key signed as a token': make({ typ: 'refloat-session+jwt' }, { sid: newId() }),
  'an enrollment token': enrollment.secret,
  'the secret of a sign-in link': await signInSecret(plane),
  'our claims, signed by a trusted issuer': makeExternal({}, payload),
  'our claims and header, signed by a trusted issuer': forge({
    header: { ...header, alg: 'RS256' },
    payload,
    key: external,
  }),
  'our issuer’s name with the key of a trusted one': makeExternal({}, { iss: payload.iss }),
  'a trusted issuer’s claims, signed by our key': forge({ header, payload: externalPayload, key: own.key }),
  'a token of another server of ours': make({ kid: foreign.jwk['kid'] }, {}, foreign.key),
  'our kid, signed by another key': make({}, {}, foreign.key),
  'an id token for a web client': makeExternal({}, { aud: 'web-client-id', nonce: 'x' }),
  revoked: revoked.jwt,
  'expired in the database': expiredRow.jwt,
  'of an issuer that is trusted no longer': removed,
};

const EXTERNAL: Record<string, Attack> = {};
for (const name of ['iss', 'aud', 'sub', 'jti', 'iat', 'nbf', 'exp']) {
  const value = externalPayload[name as keyof typeof externalPayload];
  EXTERNAL[`issuer's token: ${name} missing`] = makeExternal({}, JSON.stringify(without(externalPayload, name)));
  EXTERNAL[`issuer's token: ${name} twice`] = makeExternal({}, twice({ ...externalPayload, [name]: 'x' }, name, value));
  EXTERNAL[`issuer's token: ${name} of another type`] = makeExternal(
    {},
    { [name]: typeof value === 'string' ? 7 : String(value) },
  );
}
Object.assign(EXTERNAL, {
  "issuer's token: none": `${part({ ...externalHeader, alg: 'none' })}.${part(externalPayload)}.`,
  "issuer's token: HS256 with the public key": makeExternal(
    { alg: 'HS256' },
    {},
    JSON.stringify(issuer.keys().publicJwk),
  ),
  "issuer's token: HS256 with its modulus": makeExternal(
    { alg: 'HS256' },
    {},
    Buffer.from(String(issuer.keys().publicJwk['n']), 'base64url'),
  ),
  "issuer's token: RS384, which is not fixed for it": makeExternal({ alg: 'RS384' }),
  "issuer's token: PS256, which is not fixed for it": makeExternal({ alg: 'PS256' }),
  "issuer's token: EdDSA, signed by us": forge({
    header: { ...externalHeader, alg: 'EdDSA' },
    payload: externalPayload,
    key: own.key,
  }),
  "issuer's token: another key": makeExternal({}, {}, rsa.privateKey),
  "issuer's token: another key, brought along": makeExternal(
    { jwk: rsa.publicKey.export({ format: 'jwk' }) },
    {},
    rsa.privateKey,
  ),
  "issuer's token: jku to the attacker": makeExternal(
    { jku: `${other.url}/jwks`, kid: other.keys().kid },
    {},
    KeyObject.from(other.keys().privateKey),
  ),
  "issuer's token: kid unknown": makeExternal({ kid: 'other' }),
  "issuer's token: kid missing": makeExternal(JSON.stringify(without(externalHeader, 'kid'))),
  "issuer's token: kid as a path": makeExternal({ kid: '../../etc/passwd' }),
  "issuer's token: typ of ours": makeExternal({ typ: 'refloat-token+jwt' }),
  "issuer's token: typ of a logout": makeExternal({ typ: 'logout+jwt' }),
  "issuer's token: typ missing": makeExternal(JSON.stringify(without(externalHeader, 'typ'))),
  "issuer's token: crit": makeExternal({ crit: ['exp'] }),
  "issuer's token: b64 false": makeExternal({ b64: false, crit: ['b64'] }),
  "issuer's token: for us and others": makeExternal({}, { aud: [AUDIENCE, 'other'] }),
  "issuer's token: for nobody": makeExternal({}, { aud: [] }),
  "issuer's token: for others": makeExternal({}, { aud: 'https://other.example' }),
  "issuer's token: expired": makeExternal({}, { iat: now - 400, nbf: now - 400, exp: now - 62 }),
  "issuer's token: not valid yet": makeExternal({}, { nbf: now + 600, exp: now + 700 }),
  "issuer's token: from the future": makeExternal({}, { iat: now + 600, exp: now + 700 }),
  "issuer's token: a life of two days": makeExternal({}, { exp: now + 2 * 86_400 }),
  "issuer's token: iss with a slash": makeExternal({}, { iss: `${issuer.url}/` }),
  "issuer's token: iss of an issuer nobody trusts": makeExternal({}, { iss: 'https://token.actions.example' }),
  "issuer's token: iss as SQL": makeExternal({}, { iss: "' or true --" }),
  "issuer's token: the private key's text as secret": makeExternal({ alg: 'HS256' }, {}, String(externalPem)),
});

function twin(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1];
}

const ALL = { STRUCTURE, ALGORITHMS, HEADER, CLAIMS, PURPOSE, EXTERNAL };

test('the references are good', async () => {
  for (const [what, token] of [
    ['ours', good],
    ["a trusted issuer's", makeExternal()],
    ['an audience in a list of one', makeExternal({}, { aud: [AUDIENCE] })],
    [
      'a header that brings a key along, which nobody reads',
      makeExternal({ jwk: issuer.keys().publicJwk, x5u: 'https://evil.example', jku: `${other.url}/jwks` }),
    ],
  ] as const) {
    const answer = await call(plane, 'GET', '/api/workloads', { token });
    assert.equal(answer.status, 200, `${what}: ${JSON.stringify(answer.body)}`);
  }
});

test('there are at least 150 attacks', () => {
  const names = Object.values(ALL).flatMap((attacks) => Object.keys(attacks));
  assert.ok(names.length >= 150, `${names.length}`);
  assert.equal(new Set(names).size, names.length);
});

for (const [group, attacks] of Object.entries(ALL)) {
  describe(group.toLowerCase(), () => {
    for (const [what, attack] of Object.entries(attacks)) {
      test(what, async () => {
        const options =
          typeof attack === 'string' ? { headers: { authorization: `Bearer ${attack.replaceAll('\n', '')}` } } : attack;
        const answer = await call(plane, 'GET', '/api/workloads', options);
        assert.deepEqual([answer.status, answer.body.code], [401, 'UNAUTHENTICATED'], JSON.stringify(answer.body));
        assert.ok(answer.body.hint.length > 0);
      });
    }
  });
}

test('nobody was asked for keys at the word of a token', () => {
  assert.deepEqual(
    other.requests.filter((path) => path !== '/.well-known/openid-configuration').length,
    1,
    'when it was added',
  );
  assert.ok(issuer.requests.length <= 4, `${issuer.requests}`);
});
