/** wrangler.toml must not fall behind what the Worker reads. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { generateKeySet } from '../../functions/auth/key-set.ts';
import { readServerConfig } from '../../functions/config.ts';
import { HOUSEKEEPING_CRON } from '../../functions/housekeeping.ts';

const root = path.join(import.meta.dirname, '../..');
const toml = fs.readFileSync(path.join(root, 'wrangler.toml'), 'utf8');

test('every setting that the Worker reads is in wrangler.toml, and in the README', async () => {
  const asked = new Set<string>();
  const values: Readonly<Record<string, string>> = {
    REFLOAT_SIGNING_KEYS: await generateKeySet(),
    REFLOAT_PUBLIC_URL: 'https://refloat.example',
    REFLOAT_OIDC_ISSUER: 'https://issuer.example',
    REFLOAT_OIDC_CLIENT_ID: 'refloat',
    REFLOAT_OIDC_ROLES: '[{"claim":"groups","value":"sre","role":"admin"}]',
  };
  readServerConfig(
    new Proxy(values, {
      get: (target, name) => {
        asked.add(String(name));
        return target[String(name)];
      },
    }),
  );
  assert.ok(asked.size >= 10, [...asked].join());
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  for (const name of asked) {
    assert.match(toml, new RegExp(`\\b${name}\\b`), 'wrangler.toml');
    assert.match(readme, new RegExp(`\\b${name}\\b`), 'README.md');
  }
});

test('the cron trigger and the runtime are the ones that the code counts on', () => {
  assert.ok(toml.includes(`crons = ["${HOUSEKEEPING_CRON}"]`));
  assert.match(toml, /^compatibility_flags = \["nodejs_compat"\]$/m);
  assert.match(toml, /^binding = "HYPERDRIVE"$/m);
  assert.doesNotMatch(toml, /^\s*REFLOAT_\w*(KEYS|SECRET|DATABASE_URL)\w* *=/m, 'secrets are no variables');
});
