/** pack, unpack and verify as a script sees them: JSON, exit codes, and what is left on the disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { entry, tar } from '../../helpers/tar-builder.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-archive-cli-'));
after(() => rmSync(base, { recursive: true, force: true }));
const PROGRAM = join(import.meta.dirname, '../../../agent/cli/main.ts');

interface Answer {
  readonly status: number | null;
  readonly json: {
    ok: boolean;
    error?: { code: string; message: string; hint: string; entry?: string };
    [key: string]: unknown;
  };
}

function refloatAgent(...args: string[]): Answer {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, ...args, '--json'], {
    encoding: 'utf8',
  });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  assert.match(last, /^\{/, `no JSON: ${stdout}${stderr}`);
  return { status, json: JSON.parse(last) as Answer['json'] };
}

const at = (...parts: string[]): string => join(base, ...parts);
mkdirSync(at('tree', 'd'), { recursive: true });
writeFileSync(at('tree', 'd', 'file'), 'content');
symlinkSync('/etc/passwd', at('tree', 'link'));

test('pack and unpack give the tree back, with exit code 0', () => {
  const packed = refloatAgent('pack', at('tree'), at('t.tar.zst'));
  assert.equal(packed.status, 0);
  assert.equal(packed.json.ok, true);
  assert.equal(
    packed.json['sha256'],
    createHash('sha256')
      .update(readFileSync(at('t.tar.zst')))
      .digest('hex'),
  );
  const unpacked = refloatAgent('unpack', at('t.tar.zst'), at('out'));
  assert.equal(unpacked.status, 0);
  assert.equal(unpacked.json['entries'], 4);
  assert.deepEqual(compareTrees(snapshotTree(at('tree')), snapshotTree(at('out'))), []);
});

test('a hostile archive is refused with exit code 3, its entry named, and nothing left', () => {
  writeFileSync(at('evil.tar'), tar(entry({ name: '../\x1bevil', body: 'x' })));
  const { status, json } = refloatAgent('unpack', at('evil.tar'), at('evil'));
  assert.equal(status, 3);
  assert.equal(json.ok, false);
  assert.deepEqual(Object.keys(json.error ?? {}).sort(), ['code', 'entry', 'hint', 'message', 'rule']);
  assert.equal(json.error?.code, 'ARCHIVE_REFUSED');
  assert.equal(json.error?.entry, '../\\x1bevil');
  assert.ok(!existsSync(at('evil')));
});

test('policy strict refuses the same archive that faithful extracts', () => {
  const { status, json } = refloatAgent('unpack', at('t.tar.zst'), at('strict'), '--policy', 'strict');
  assert.equal(status, 3);
  assert.equal(json.error?.entry, 'link');
  assert.ok(!existsSync(at('strict')));
});

test('limits are refusals', () => {
  assert.equal(refloatAgent('unpack', at('t.tar.zst'), at('l1'), '--max-bytes', '3').status, 3);
  assert.equal(refloatAgent('unpack', at('t.tar.zst'), at('l2'), '--max-entries', '2').status, 3);
  assert.ok(!existsSync(at('l1')) && !existsSync(at('l2')));
});

test('what the person got wrong is exit code 2, and changes nothing', () => {
  mkdirSync(at('there'));
  for (const args of [
    ['unpack', at('t.tar.zst'), at('there')],
    ['unpack', at('missing.tar'), at('new')],
    ['unpack', at('t.tar.zst'), at('new'), '--policy', 'lax'],
    ['unpack', at('t.tar.zst'), at('new'), '--max-bytes', 'many'],
    ['pack', at('tree'), at('t.tar.zst')],
    ['verify', at('nowhere')],
    ['unpack'],
  ]) {
    const { status, json } = refloatAgent(...args);
    assert.equal(status, 2, args.join(' '));
    assert.equal(json.ok, false);
    assert.ok((json.error?.hint ?? '').length > 0);
  }
  assert.ok(!existsSync(at('new')) && existsSync(at('there')));
});

test('verify reads a whole snapshot, and sees one changed byte', () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  mkdirSync(at('snapshot'));
  const { json } = refloatAgent('pack', at('tree'), at('snapshot', 'data.tar.zst'));
  const { entries, files, directories, symlinks, hardLinks, sparseFiles, xattrs, contentBytes, sha256, archiveBytes } =
    json;
  const manifest = {
    format: 'refloat-snapshot',
    version: 1,
    id,
    kind: 'capture',
    workload: { id, name: 'shop' },
    intentId: id,
    capturedAt: '2026-01-01T00:00:00.000Z',
    image: { reference: 'x', id: 'sha256:x' },
    agentVersion: '0.1.0',
    volumes: [
      {
        name: 'data',
        scope: 'project',
        source: 'data',
        target: '/data',
        archive: 'data.tar.zst',
        sha256,
        archiveBytes,
        counts: { entries, files, directories, symlinks, hardLinks, sparseFiles, xattrs, contentBytes },
        skippedCount: 0,
        skipped: [],
      },
    ],
  };
  writeFileSync(at('snapshot', 'manifest.json'), JSON.stringify(manifest));
  const good = refloatAgent('verify', at('snapshot'));
  assert.equal(good.status, 0, JSON.stringify(good.json));
  assert.equal(good.json['entries'], 4);
  const archive = readFileSync(at('snapshot', 'data.tar.zst'));
  archive[archive.length >> 1] = (archive[archive.length >> 1] ?? 0) ^ 1;
  writeFileSync(at('snapshot', 'data.tar.zst'), archive);
  const bad = refloatAgent('verify', at('snapshot'));
  assert.equal(bad.status, 3);
  assert.equal(bad.json.error?.code, 'ARCHIVE_CHANGED');
});
