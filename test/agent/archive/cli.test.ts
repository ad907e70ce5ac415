/** pack, unpack and verify as a script sees them: JSON, exit codes, and what is left on the disk. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { programOf } from '../../helpers/program.ts';
import { entry, tar } from '../../helpers/tar-builder.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-archive-cli-'));
after(() => rmSync(base, { recursive: true, force: true }));
const PROGRAM = programOf('refloat-agent');

interface Answer {
  readonly status: number | null;
  readonly json: {
    ok: boolean;
    error?: { code: string; message: string; hint: string; entry?: string };
    [key: string]: unknown;
  };
}

function refloatAgent(...args: string[]): Answer {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...PROGRAM, ...args, '--json'], {
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
    ['pack', at('tree'), at('tree', 'd', 'itself.tar.zst')],
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

test('no place for the result, or nothing to begin with, is exit code 2 as well', () => {
  writeFileSync(at('file'), '');
  for (const args of [
    ['unpack', at('t.tar.zst'), at('missing', 'out')],
    ['unpack', at('t.tar.zst'), at('file', 'out')],
    ['pack', at('missing'), at('new.tar.zst')],
    ['pack', at('file'), at('new.tar.zst')],
    ['pack', at('tree'), at('missing', 'new.tar.zst')],
  ]) {
    const { status, json } = refloatAgent(...args);
    assert.equal(status, 2, `${args.join(' ')}: ${JSON.stringify(json)}`);
  }
  assert.ok(!existsSync(at('missing')) && !existsSync(at('new.tar.zst')));
});

test('what is no archive is refused without waiting for it, and leaves nothing', () => {
  execFileSync('mkfifo', [at('fifo')]);
  symlinkSync(at('t.tar.zst'), at('by-link'));
  for (const file of [at('fifo'), at('tree'), '/dev/null', at('file')]) {
    const { status, json } = refloatAgent('unpack', file, at('none'));
    assert.equal(status, 3, `${file}: ${JSON.stringify(json)}`);
    assert.ok(!existsSync(at('none')));
  }
  assert.equal(refloatAgent('unpack', at('by-link'), at('linked')).status, 0);
});

test('the limits are the largest that is still allowed', () => {
  // "content" is seven bytes; the root, a directory, a file and a link are four entries.
  for (const [option, value, status] of [
    ['--max-bytes', '7', 0],
    ['--max-bytes', '6', 3],
    ['--max-entries', '4', 0],
    ['--max-entries', '3', 3],
  ] as const) {
    const destination = at(`limit-${option}-${value}`);
    assert.equal(refloatAgent('unpack', at('t.tar.zst'), destination, option, value).status, status, option);
    assert.equal(existsSync(destination), status === 0);
  }
});

for (const [verb, result] of [
  ['pack', 'interrupted.tar.zst'],
  ['unpack', 'interrupted'],
] as const) {
  test(`SIGINT in the middle of ${verb} is exit code 130, and leaves nothing`, async () => {
    mkdirSync(at(`big-${verb}`));
    writeFileSync(at(`big-${verb}`, 'a'), randomBytes(96 * 1024 * 1024));
    for (let copy = 0; copy < 4; copy += 1) copyFileSync(at(`big-${verb}`, 'a'), at(`big-${verb}`, `b${copy}`));
    const archive = at(`big-${verb}.tar`);
    execFileSync('tar', ['-cf', archive, '-C', at(`big-${verb}`), '.']);
    const args = verb === 'pack' ? [at(`big-${verb}`), at(result)] : [archive, at(result)];
    const child = spawn(process.execPath, [...PROGRAM, verb, ...args, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    const ended = once(child, 'close');
    // Something of it is there: then it is in the middle.
    while (child.exitCode === null && !existsSync(at(result))) await immediate();
    child.kill('SIGINT');
    const [code] = await ended;
    assert.equal(code, 130, stdout);
    assert.equal((JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Answer['json']).error?.code, 'INTERRUPTED');
    assert.ok(!existsSync(at(result)));
  });
}

test('a file system that is read-only, or full, ends with exit code 1 and leaves nothing', (t) => {
  const fs = mountLoop('ext4', 16 * 1024 * 1024);
  t.after(fs.unmount);
  mkdirSync(join(fs.path, 'folder'));
  writeFileSync(at('five.tar'), tar(entry({ name: 'five', body: randomBytes(5 * 1024 * 1024) })));
  const inFolder = (): string[] => readdirSync(join(fs.path, 'folder'));
  writeFileSync(join(fs.path, 'filler'), Buffer.alloc(8 * 1024 * 1024));
  const full = refloatAgent('unpack', at('five.tar'), join(fs.path, 'folder', 'out'));
  assert.ok([1, 3].includes(full.status ?? -1), JSON.stringify(full.json));
  assert.match(full.json.error?.code ?? '', /^(DISK_FULL|ARCHIVE_LIMIT)$/);
  assert.deepEqual(inFolder(), []);
  const packed = refloatAgent('pack', at('big-pack'), join(fs.path, 'folder', 'p.tar.zst'));
  assert.equal(packed.status, 1);
  assert.equal(packed.json.error?.code, 'DISK_FULL');
  assert.deepEqual(inFolder(), []);
  execFileSync('mount', ['-o', 'remount,ro', fs.path]);
  assert.equal(refloatAgent('unpack', at('t.tar.zst'), join(fs.path, 'folder', 'out')).status, 1);
  assert.equal(refloatAgent('pack', at('tree'), join(fs.path, 'folder', 'p.tar.zst')).status, 1);
  assert.deepEqual(inFolder(), []);
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
  mkdirSync(at('emptied'));
  const emptied = refloatAgent('verify', at('emptied'));
  assert.deepEqual([emptied.status, emptied.json.error?.code], [3, 'MANIFEST_MISSING']);
  const archive = readFileSync(at('snapshot', 'data.tar.zst'));
  archive[archive.length >> 1] = (archive[archive.length >> 1] ?? 0) ^ 1;
  writeFileSync(at('snapshot', 'data.tar.zst'), archive);
  const bad = refloatAgent('verify', at('snapshot'));
  assert.equal(bad.status, 3);
  assert.equal(bad.json.error?.code, 'ARCHIVE_CHANGED');
});
