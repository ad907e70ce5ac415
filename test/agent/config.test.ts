/** Environment over file over defaults, and what is wrong named without giving a secret away. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../agent/config.ts';
import { newId } from '../../db/ids.ts';
import { INTENT_KINDS } from '../../db/intent-state.ts';

describe('configuration', () => {
  test('defaults, file, environment', () => {
    assert.deepEqual(parseConfig({}, {}), {
      stateDir: '/var/lib/refloat',
      allowedRoots: [],
      volumeBase: '/srv/refloat',
      undoWindowSeconds: 86_400,
      dockerHost: undefined,
      databaseUrl: undefined,
      hostId: undefined,
      importDirectory: undefined,
      inventory: 'all',
      allowedIntents: new Set(INTENT_KINDS),
      allowedVolumes: null,
      maxRestoreBytes: null,
      logLevel: 'info',
    });
    const file = {
      hostId: newId(),
      databaseUrl: 'postgres://a@b/c',
      volumeBase: '/file',
      allowedRoots: ['/a'],
      undoWindowSeconds: 5,
    };
    const config = parseConfig(
      { REFLOAT_VOLUME_BASE: '/env/', REFLOAT_ALLOWED_ROOTS: '/x::/y/', REFLOAT_UNDO_WINDOW_SECONDS: '0' },
      file,
    );
    assert.deepEqual(
      [config.volumeBase, config.allowedRoots, config.undoWindowSeconds, config.hostId],
      ['/env', ['/x', '/y'], 0, file.hostId],
    );
  });

  test('limits of intents come from the environment, else from the file', () => {
    const { allowedIntents, allowedVolumes, maxRestoreBytes } = parseConfig(
      { REFLOAT_ALLOWED_INTENTS: 'capture, verify', REFLOAT_ALLOWED_VOLUMES: 'shop-*,pg' },
      { allowedIntents: ['restore'], maxRestoreBytes: 7 },
    );
    assert.deepEqual(
      [[...allowedIntents], allowedVolumes, maxRestoreBytes],
      [['capture', 'verify'], ['shop-*', 'pg'], 7],
    );
  });

  for (const [name, value] of [
    ['REFLOAT_STATE_DIR', 'relative'],
    ['REFLOAT_VOLUME_BASE', '/srv/../etc'],
    ['REFLOAT_ALLOWED_ROOTS', '/ok:not/ok'],
    ['REFLOAT_ALLOWED_INTENTS', 'capture,exec'],
    ['REFLOAT_MAX_RESTORE_BYTES', '-1'],
    ['REFLOAT_MAX_RESTORE_BYTES', '10G'],
    ['REFLOAT_UNDO_WINDOW_SECONDS', '-1'],
    ['REFLOAT_UNDO_WINDOW_SECONDS', '1e3'],
    ['REFLOAT_AGENT_DATABASE_URL', 'mysql://user:s3cret@host/db'],
    ['DOCKER_HOST', '/var/run/docker.sock'],
    ['REFLOAT_LOG', 'loud'],
  ] as const) {
    test(`${name}=${value} is refused by name`, () => {
      assert.throws(
        () => parseConfig({ [name]: value }, {}),
        (error: Error & { code: string; details: { setting: string } }) => {
          assert.equal(error.code, 'CONFIG_INVALID');
          assert.equal(error.details.setting, name);
          assert.doesNotMatch(JSON.stringify(error), /s3cret/);
          return true;
        },
      );
    });
  }
});
