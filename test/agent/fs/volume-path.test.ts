import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { resolveVolume, type VolumeHost } from '../../../agent/fs/volume-path.ts';
import type { VolumeConfig } from '../../../db/workload.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'refloat-paths-')));
after(() => rmSync(root, { recursive: true, force: true }));
const base = join(root, 'srv');
const allowed = join(root, 'allowed');
const outside = join(root, 'outside');
for (const directory of [
  join(base, 'shop', 'prod', 'files'),
  join(base, 'shop', 'pgdata'),
  join(base, 'other', 'secrets'),
  join(allowed, 'deep'),
  outside,
  join(root, 'docker', '_data'),
]) {
  mkdirSync(directory, { recursive: true });
}

const host: VolumeHost = {
  config: { allowedRoots: [allowed], volumeBase: base },
  engine: {
    volume: async (name) =>
      name === 'local'
        ? { driver: 'local', mountPoint: join(root, 'docker', '_data'), options: {} }
        : name === 'nfs'
          ? { driver: 'local', mountPoint: join(root, 'docker', '_data'), options: { type: 'nfs' } }
          : name === 'plugin'
            ? { driver: 'sshfs', mountPoint: '/mnt/x', options: {} }
            : null,
  },
};
const workload = { project: 'shop', stage: 'prod' };
const volume = (scope: VolumeConfig['scope'], source: string): VolumeConfig => ({
  name: 'data',
  scope,
  source,
  target: '/data',
  readOnly: false,
});
const resolve = (scope: VolumeConfig['scope'], source: string) => resolveVolume(host, workload, volume(scope, source));

test('each scope becomes its directory', async () => {
  assert.equal((await resolve('project', 'pgdata')).live, join(base, 'shop', 'pgdata'));
  assert.equal((await resolve('stage', 'files')).live, join(base, 'shop', 'prod', 'files'));
  assert.equal((await resolve('absolute', join(allowed, 'deep'))).live, join(allowed, 'deep'));
  assert.equal((await resolve('named', 'local')).live, join(root, 'docker', '_data'));
});

test('a directory that is not there yet is resolved through what is there', async () => {
  const { live, exists } = await resolve('project', 'new/deeper');
  assert.deepEqual({ live, exists }, { live: join(base, 'shop', 'new', 'deeper'), exists: false });
});

test('scopes that live with a container are refused by name', async () => {
  for (const scope of ['instance', 'ephemeral'] as const) {
    await assert.rejects(
      resolve(scope, ''),
      (error: Error & { code?: string }) => error.code === 'SCOPE_UNSUPPORTED' && /volume "data"/.test(error.message),
    );
  }
});

test('no text of a source leaves its base', async () => {
  for (const source of [
    '..',
    '../other/secrets',
    'a/../../other',
    '/etc',
    '',
    '.',
    './pgdata',
    'a//b',
    'a/',
    'a\0b',
    '..\0',
  ]) {
    await assert.rejects(resolve('project', source), { code: 'SOURCE_INVALID' }, JSON.stringify(source));
    await assert.rejects(resolve('stage', source), { code: 'SOURCE_INVALID' }, JSON.stringify(source));
  }
  for (const source of ['/', 'relative', `${allowed}/../outside`, `${allowed}/./deep`, `${allowed}//deep`, '']) {
    await assert.rejects(resolve('absolute', source), { code: 'SOURCE_INVALID' }, JSON.stringify(source));
  }
  await assert.rejects(resolve('named', '../x'), { code: 'SOURCE_INVALID' });
});

test('a symbolic link out of the base is refused, one inside it is resolved', async () => {
  symlinkSync(outside, join(base, 'shop', 'out'));
  symlinkSync(join(base, 'other', 'secrets'), join(base, 'shop', 'neighbour'));
  symlinkSync('pgdata', join(base, 'shop', 'alias'));
  symlinkSync('nowhere', join(base, 'shop', 'dangling'));
  symlinkSync(outside, join(allowed, 'out'));
  await assert.rejects(resolve('project', 'out'), { code: 'SOURCE_ESCAPES_BASE' });
  await assert.rejects(resolve('project', 'out/below'), { code: 'SOURCE_ESCAPES_BASE' });
  await assert.rejects(resolve('project', 'neighbour'), { code: 'SOURCE_ESCAPES_BASE' });
  await assert.rejects(resolve('project', 'dangling'), { code: 'SOURCE_ESCAPES_BASE' });
  await assert.rejects(resolve('absolute', join(allowed, 'out')), { code: 'SOURCE_OUTSIDE_ROOTS' });
  assert.equal((await resolve('project', 'alias')).live, join(base, 'shop', 'pgdata'));
});

test('a project directory that is itself a link elsewhere is refused', async () => {
  symlinkSync(outside, join(base, 'linked'));
  await assert.rejects(resolveVolume(host, { project: 'linked', stage: 'prod' }, volume('project', 'x')), {
    code: 'SOURCE_ESCAPES_BASE',
  });
});

test('absolute sources must lie strictly inside an allowed root', async () => {
  for (const source of [outside, allowed, `${allowed}-not`, '/etc']) {
    await assert.rejects(resolve('absolute', source), { code: 'SOURCE_OUTSIDE_ROOTS' }, source);
  }
  const nothingAllowed = { ...host, config: { ...host.config, allowedRoots: [] } };
  await assert.rejects(resolveVolume(nothingAllowed, workload, volume('absolute', join(allowed, 'deep'))), {
    code: 'SOURCE_OUTSIDE_ROOTS',
  });
});

test('files, missing Docker volumes and Docker volumes of other drivers are refused', async () => {
  writeFileSync(join(base, 'shop', 'file'), '');
  await assert.rejects(resolve('project', 'file'), { code: 'SOURCE_NOT_DIRECTORY' });
  await assert.rejects(resolve('named', 'missing'), { code: 'SOURCE_MISSING' });
  await assert.rejects(resolve('named', 'nfs'), { code: 'SCOPE_UNSUPPORTED' });
  await assert.rejects(resolve('named', 'plugin'), { code: 'SCOPE_UNSUPPORTED' });
});

test('Docker volumes are those that the host allows, and the state of the agent is nobody’s volume', async () => {
  const limited = { ...host, config: { ...host.config, allowedVolumes: ['loc*', 'a.b'] } };
  assert.equal((await resolveVolume(limited, workload, volume('named', 'local'))).source, 'local');
  for (const name of ['nfs', 'xlocal', 'axb'])
    await assert.rejects(
      resolveVolume(limited, workload, volume('named', name)),
      { code: 'SOURCE_OUTSIDE_ROOTS' },
      name,
    );
  for (const stateDir of [join(base, 'shop', 'pgdata'), join(base, 'shop', 'pgdata', 'deeper'), join(base, 'shop')]) {
    const careless = { ...host, config: { ...host.config, stateDir } };
    await assert.rejects(resolveVolume(careless, workload, volume('project', 'pgdata')), {
      code: 'SOURCE_OUTSIDE_ROOTS',
    });
  }
});
