import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { scrub } from '../../db/scrub.ts';
import { generateKeySet } from '../../functions/auth/key-set.ts';
import { scramVerifier } from '../../functions/auth/secrets.ts';
import { findLeaks, scanRun } from './canary.ts';

const NONE: ReadonlySet<string> = new Set();
// Put together here, so that this file's own failures are no leak.
const fakeToken = ['eyJhbGciOiJFZERTQSJ9', 'eyJzdWIiOiJ0ZXN0ZXIifQ', 'c2lnbmF0dXJlLW9mLWEtdGVzdC10b2tlbg'].join('.');
const fakeUrl = ['postgres://refloat', 'a-long-password@127.0.0.1:5432/x'].join(':');

test('each kind of secret is found, alone and in the middle of a log line, and what is none is not', async () => {
  const keys = await generateKeySet();
  for (const secret of [fakeToken, fakeUrl, keys, JSON.stringify(keys), await scramVerifier('password')])
    for (const text of [secret, `{"msg":"connecting","to":"${secret.slice(0, 200)}"}`])
      assert.ok(
        findLeaks('x', `first\n${text}`, NONE).some((leak) => leak.line === 2),
        `${text.slice(0, 12)}…`,
      );
  for (const text of [
    'postgres://127.0.0.1:5432/x',
    'postgres://[login]@h/x',
    'Set it to postgres://user:password@host:5432/database',
    '{"id":"d"}',
    'eyJ',
    '"d":"short"',
    '[token]',
  ])
    assert.deepEqual(findLeaks('x', text, NONE), [], text);
  const own = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
  assert.equal(findLeaks('x', `link /sign-in#${own} made`, new Set([own])).length, 1);
  assert.deepEqual(findLeaks('x', `${own}B`, new Set([own])), []);
});

test('what the logs let through holds none of them', async () => {
  const keys = await generateKeySet();
  const lines = [
    fakeToken,
    `Bearer ${fakeToken}`,
    fakeUrl,
    keys,
    JSON.stringify(keys),
    await scramVerifier('password'),
  ];
  for (const line of lines) assert.deepEqual(findLeaks('x', scrub(`a ${line} b`), NONE), []);
  assert.equal(
    scrub('an ordinary line of 12 ms, postgres://127.0.0.1:1/x'),
    'an ordinary line of 12 ms, postgres://127.0.0.1:1/x',
  );
});

test('a program’s log is scrubbed on its way out, members that are secret whatever they hold', () => {
  const program = `
    import { makeLog } from ${JSON.stringify(path.join(import.meta.dirname, '../../functions/cli/log.ts'))};
    makeLog().warn({ url: ${JSON.stringify(fakeUrl)}, deep: { token: 'one-time-secret-of-no-form' } }, ${JSON.stringify(`sent ${fakeToken}`)});`;
  const { stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program],
    {
      encoding: 'utf8',
    },
  );
  assert.match(stderr, /"msg":"sent \[token\]"/);
  assert.doesNotMatch(stderr, /of-no-form|a-long-password/);
});

test('a run is judged by its output, and by the logs and secrets that its helpers kept', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'refloat-test-canary-'));
  try {
    fs.writeFileSync(path.join(directory, 'canaries'), 'registered-secret-of-a-test\n');
    fs.writeFileSync(path.join(directory, 'agent-1.log'), 'fine\nit is registered-secret-of-a-test here\n');
    assert.deepEqual(scanRun(directory, 'all well\n'), [
      { source: 'agent-1.log', line: 2, kind: 'a secret that a test made' },
    ]);
    const [leak] = scanRun(directory, `ok\nok\n${fakeUrl}\n`);
    assert.deepEqual([leak?.source, leak?.line], ['the output of the run', 3]);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
