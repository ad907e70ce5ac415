/** Small archives that want to be large: in memory, in entries, in metadata, on the disk. Each is refused, or stays small. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { CHILD_COMMAND, type ChildMessage, type ChildRequest } from '../../../agent/archive/protocol.ts';
import { END, entry, pax, tar } from '../../helpers/tar-builder.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-bombs-'));
after(() => rmSync(base, { recursive: true, force: true }));
const MIB = 1024 * 1024;
const MAX_RSS_BYTES = 256 * MIB;
const CHILD = join(import.meta.dirname, '../../../agent/archive/child-main.ts');

interface Read {
  readonly rule: string | null;
  readonly code: string | null;
  readonly peakBytes: number;
}

/** Reads an archive in a child of our own, whose largest size in memory the kernel tells. */
async function read(archive: string, more: Partial<ChildRequest> = {}): Promise<Read> {
  const request = { verb: 'verify', wall: true, archive, policy: 'faithful', ...more };
  const child = spawn(process.execPath, ['--max-old-space-size=160', '--max-semi-space-size=8', CHILD, CHILD_COMMAND], {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', MALLOC_ARENA_MAX: '2' },
  });
  const closed = once(child, 'close');
  let answer: ChildMessage = { progress: [0, 0] };
  let peakBytes = 0;
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    for (const line of chunk.split('\n').filter((each) => each !== '')) answer = JSON.parse(line) as ChildMessage;
    peakBytes = Math.max(peakBytes, peakOf(child.pid));
  });
  const requests = child.stdio[3];
  assert.ok(requests instanceof Writable);
  requests.write(`${JSON.stringify(request)}\n`);
  while (child.exitCode === null && !('ok' in answer) && !('error' in answer)) {
    peakBytes = Math.max(peakBytes, peakOf(child.pid));
    await new Promise((done) => setImmediate(done));
  }
  await closed;
  const error = 'error' in answer ? (answer as Extract<ChildMessage, { error: unknown }>).error : null;
  return { rule: String(error?.details?.['rule'] ?? '') || null, code: error?.code ?? null, peakBytes };
}

function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function archive(name: string, bytes: Buffer): string {
  writeFileSync(join(base, name), bytes);
  return join(base, name);
}

async function stays(rule: string | null, path: string, more: Partial<ChildRequest> = {}): Promise<void> {
  const { peakBytes, ...seen } = await read(path, more);
  assert.equal(seen.rule, rule, String(seen.code));
  assert.ok(peakBytes > 0 && peakBytes < MAX_RSS_BYTES, `${Math.round(peakBytes / MIB)} MiB`);
}

test('a thousand global headers of a MiB each fill no memory', async () => {
  const value = randomBytes(MIB - 100)
    .toString('latin1')
    .replaceAll('\n', ' ');
  const headers = Array.from({ length: 60 }, (_, index) => pax({ [`VENDOR.key${index}`]: value }, 'g'));
  const once60 = Buffer.concat(headers);
  await stays(null, archive('globals.tar', Buffer.concat([once60, once60, once60, once60, once60, END])));
});

test('directories with attributes of a MiB each are refused before they fill the memory', async () => {
  const members = Array.from({ length: 120 }, (_, index) => [
    pax(
      Object.fromEntries(
        Array.from({ length: 15 }, (_each, key) => [`SCHILY.xattr.user.a${key}`, randomBytes(60_000)]),
      ),
    ),
    entry({ name: `d${index}`, type: '5' }),
  ]);
  const path = archive('attributes.tar', tar(...members.flat()));
  const destination = join(base, 'attributes');
  execFileSync('mkdir', [destination]);
  await stays('metadata', path, { verb: 'extract', destination });
  assert.deepEqual(execFileSync('ls', ['-A', destination], { encoding: 'utf8' }), '');
});

for (const [name, compress] of [
  ['gzip', (bytes: Buffer) => gzipSync(bytes)],
  ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
] as const) {
  test(`entries without end, compressed by ${name}, end at the limit`, async () => {
    // Directories that differ in their last bytes alone: about as well as entries compress.
    const block = Buffer.concat(
      Array.from({ length: 60_000 }, (_, index) => entry({ name: `d${index}/`, type: '5', mode: 0o755 })),
    );
    const path = archive(`entries.${name}`, compress(Buffer.concat([block, END])));
    assert.ok(statSync(path).size < 3 * MIB);
    await stays('max-entries', path, { limits: { maxEntries: 50_000, maxRatio: 100_000 } });
  });

  test(`zeros without end, compressed by ${name}, end at the ratio`, async () => {
    const zeros = compress(Buffer.alloc(64 * MIB));
    const file = entry({ name: 'zeros', size: 2 ** 33 - 1 });
    await stays(
      'ratio',
      archive(`zeros.${name}`, Buffer.concat([compress(file), ...Array.from({ length: 64 }, () => zeros)])),
    );
  });
}

test('the widest window of zstd that is allowed fits into the memory', async () => {
  const tarFile = join(base, 'window.tar');
  writeFileSync(tarFile, tar(entry({ name: 'random', body: randomBytes(150 * MIB) })));
  execFileSync('zstd', ['-q', '-1', '--long=26', '--zstd=wlog=26', tarFile, '-o', `${tarFile}.zst`]);
  await stays(null, `${tarFile}.zst`);
  execFileSync('zstd', ['-q', '-f', '-1', '--long=27', '--zstd=wlog=27', tarFile, '-o', `${tarFile}.zst`]);
  await stays('zstd-window', `${tarFile}.zst`);
});

test('a sparse file of an exabyte takes nothing, and one of many segments no more than its map', async () => {
  const claims = pax({
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': 's',
    'GNU.sparse.realsize': String(2 ** 50),
  });
  const map = (text: string): Buffer => {
    const padded = Buffer.alloc(Math.ceil(text.length / 512) * 512);
    padded.write(text);
    return padded;
  };
  const exabyte = tar(claims, entry({ name: 'GNUSparseFile.0/s', body: map('1\n0\n0\n') }));
  await stays('max-bytes', archive('exabyte.tar', exabyte));
  const segments = Array.from({ length: 900_000 }, (_, index) => `${index * 2}\n0`).join('\n');
  const many = tar(claims, entry({ name: 'GNUSparseFile.0/s', body: map(`900000\n${segments}\n`) }));
  await stays('max-bytes', archive('segments.tar', many));
  const tooMany = tar(claims, entry({ name: 'GNUSparseFile.0/s', body: map('1000001\n') }));
  await stays('sparse-segments', archive('too-many.tar', tooMany));
  assert.ok(!existsSync(join(base, 's')));
});
