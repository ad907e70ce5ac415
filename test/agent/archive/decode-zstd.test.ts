/** The two ways to decompress zstd, Node's own library called from buffer to buffer and the streams of node:zlib, give and refuse the same. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { ArchiveFile } from '../../../agent/archive/archive-file.ts';
import { decodeZstd, decodeZstdByStream } from '../../../agent/archive/decode-zstd.ts';
import { RatioGuard } from '../../../agent/archive/ratio-guard.ts';
import { nativeZstdDecoder } from '../../../agent/archive/zstd-native-decoder.ts';
import { RefloatError } from '../../../db/errors.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-decode-'));
after(() => rmSync(base, { recursive: true, force: true }));
const MIB = 1024 * 1024;
const CHECKSUM = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

type Way = typeof decodeZstd;

/** Length and digest of what comes out, or `code rule` of the refusal. */
async function outcome(way: Way, archive: Buffer, maxRatio = 200): Promise<string> {
  const path = join(base, 'archive');
  writeFileSync(path, archive);
  const file = new ArchiveFile(path);
  const hash = createHash('sha256');
  let length = 0;
  let before: Buffer | null = null;
  try {
    for await (const piece of way(file, file.read(), new RatioGuard(maxRatio))) {
      // Each must stay as it is until the second one after it is asked for.
      if (before !== null) hash.update(before);
      before = piece;
      length += piece.length;
    }
    if (before !== null) hash.update(before);
    assert.equal(file.digest(), createHash('sha256').update(archive).digest('hex'), 'the digest of the file');
    return `${length} ${hash.digest('hex')}`;
  } catch (error) {
    assert.ok(error instanceof RefloatError, String(error));
    assert.equal(error.disposition, 'refuse');
    return `${error.code} ${String(error.details?.['rule'])}`;
  } finally {
    file.close();
  }
}

async function both(archive: Buffer, maxRatio?: number): Promise<string> {
  const natively = await outcome(decodeZstd, archive, maxRatio);
  assert.equal(await outcome(decodeZstdByStream, archive, maxRatio), natively, 'by stream as natively');
  return natively;
}

const decoded = (data: Buffer): string => `${data.length} ${createHash('sha256').update(data).digest('hex')}`;
/** A frame that says nothing of its length, as every compressor that is fed by a pipe writes. */
async function ofUnknownLength(data: Buffer): Promise<Buffer> {
  const stream = createZstdCompress();
  stream.end(data);
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
const skippable = (bytes: number): Buffer => {
  const header = Buffer.from('502a4d1800000000', 'hex');
  header.writeUInt32LE(bytes, 4);
  return Buffer.concat([header, randomBytes(bytes)]);
};
const data = Buffer.concat([randomBytes(3 * MIB), Buffer.from('the same again\n'.repeat(400_000)), randomBytes(999)]);
const small = Buffer.concat([randomBytes(60), Buffer.alloc(600, 'ab')]);

test('this Node has the zstd that is called', () => {
  assert.notEqual(nativeZstdDecoder, null);
});

test('frames of any kind, one behind the other, come out whole', async () => {
  const pieces = Array.from({ length: 5 }, (_, index) => data.subarray(index * 2 * MIB, (index + 1) * 2 * MIB));
  assert.equal(await both(Buffer.concat(pieces.map((piece) => zstdCompressSync(piece, CHECKSUM)))), decoded(data));
  assert.equal(await both(await ofUnknownLength(data)), decoded(data));
  const one = await ofUnknownLength(small);
  const odd = [skippable(5), one, zstdCompressSync(Buffer.alloc(0)), skippable(7 * MIB), one, skippable(0)];
  assert.equal(await both(Buffer.concat(odd)), decoded(Buffer.concat([small, small])));
  const many = Array.from({ length: 3000 }, () => one);
  assert.equal(await both(Buffer.concat(many)), decoded(Buffer.concat(Array.from(many, () => small))));
});

test('the widest window that is allowed comes out whole, a wider one is refused', async () => {
  const wide = Buffer.concat([randomBytes(30 * MIB), Buffer.alloc(40 * MIB, 'x')]);
  const twice = Buffer.concat([wide, wide.subarray(0, 25 * MIB)]);
  const by = (log: number): Buffer =>
    execFileSync('zstd', ['-q', '-1', `--long=${log}`, `--zstd=wlog=${log}`, '-c'], {
      input: twice,
      maxBuffer: 128 * MIB,
    });
  assert.equal(await both(by(26)), decoded(twice));
  assert.equal(await both(by(27)), 'ARCHIVE_LIMIT zstd-window');
});

test('an archive that is cut anywhere is refused', async () => {
  const archive = Buffer.concat([zstdCompressSync(small, CHECKSUM), skippable(20), await ofUnknownLength(small)]);
  const first = zstdCompressSync(small, CHECKSUM).length;
  const whole = new Set([first, first + 28, archive.length]);
  for (let length = 5; length <= archive.length; length += 1) {
    const cut = await both(archive.subarray(0, length));
    assert.equal(cut === 'ARCHIVE_TRUNCATED truncated-compression', !whole.has(length), `${length}: ${cut}`);
  }
});

test('a flipped bit is refused, or changes nothing', async () => {
  const archive = zstdCompressSync(small, CHECKSUM);
  let refused = 0;
  for (let bit = 32; bit < archive.length * 8; bit += 1) {
    const copy = Buffer.from(archive);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const natively = await outcome(decodeZstd, copy);
    const byStream = await outcome(decodeZstdByStream, copy);
    // Damage may look like an early end to one of them.
    assert.equal(
      natively.startsWith('ARCHIVE_'),
      byStream.startsWith('ARCHIVE_'),
      `bit ${bit}: ${natively}, ${byStream}`,
    );
    if (natively.startsWith('ARCHIVE_')) refused += 1;
    else assert.equal(natively, decoded(small), `bit ${bit}`);
  }
  assert.ok(refused > archive.length * 7);
});

test('what follows the last frame, dictionaries and bombs are refused', async () => {
  const frame = zstdCompressSync(small);
  assert.equal(await both(Buffer.concat([frame, Buffer.from('garbage!')])), 'ARCHIVE_REFUSED trailing-garbage');
  assert.equal(await both(Buffer.concat([frame, Buffer.alloc(512)])), 'ARCHIVE_REFUSED trailing-garbage');
  assert.equal(await both(Buffer.from('28b52ffd0158010000', 'hex')), 'ARCHIVE_REFUSED zstd-dictionary');
  assert.equal(await both(Buffer.from('28b52ffd00a8010000', 'hex')), 'ARCHIVE_LIMIT zstd-window');
  const bomb = zstdCompressSync(Buffer.alloc(100 * MIB));
  assert.equal(await both(bomb), 'ARCHIVE_LIMIT ratio');
  assert.equal(await both(bomb, 1e9), decoded(Buffer.alloc(100 * MIB)));
});
