/** The reader against itself: every bit flipped, every cut, random archives against a model, random bytes against hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from '../../../agent/archive/byte-queue.ts';
import { EntryRules } from '../../../agent/archive/entry-rules.ts';
import { parseNumber, parseTime } from '../../../agent/archive/numbers.ts';
import { encodePax, parsePax } from '../../../agent/archive/pax.ts';
import { TarReader } from '../../../agent/archive/tar-reader.ts';
import { encodeHeader } from '../../../agent/archive/tar-writer.ts';
import { RefloatError } from '../../../db/errors.ts';
import { END, entry, long, pax, tar } from '../../helpers/tar-builder.ts';

interface Seen {
  readonly path: string;
  readonly type: string;
  readonly target: string;
  readonly mode: number;
  readonly owner: string;
  readonly time: string;
  readonly data: string;
  readonly xattrs: string;
}

/** All members in chunks of `step` bytes, as the extractor would see them. */
async function read(bytes: Buffer, step = bytes.length + 1): Promise<Seen[]> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  }
  const reader = new TarReader(new ByteQueue(chunks()));
  const rules = new EntryRules({
    policy: 'faithful',
    limits: { maxEntries: 1000, maxBytes: 2 ** 40 },
  });
  const seen: Seen[] = [];
  for (let member = await reader.next(); member !== null; member = await reader.next()) {
    const decision = rules.admit(member);
    const pieces: Buffer[] = [];
    for (let piece = await reader.data(1000); piece !== null; piece = await reader.data(1000))
      pieces.push(Buffer.from(piece));
    if (!decision.take) continue;
    seen.push({
      path: decision.path,
      type: member.type,
      target: member.type === 'symlink' ? member.linkName : decision.target,
      mode: member.mode,
      owner: `${member.uid}:${member.gid}`,
      time: `${member.mtime.seconds}.${member.mtime.nanoseconds}`,
      data: Buffer.concat(pieces).toString('hex'),
      xattrs: member.xattrs.map(({ name, value }) => `${name.toString('hex')}=${value.toString('hex')}`).join(),
    });
  }
  return seen;
}

async function outcome(bytes: Buffer, step?: number): Promise<readonly Seen[] | RefloatError> {
  try {
    return await read(bytes, step);
  } catch (error) {
    assert.ok(error instanceof RefloatError, `${String(error)} is not a refusal`);
    return error;
  }
}

const SAMPLE = tar(
  entry({ name: './', type: '5', mode: 0o755 }),
  pax({ path: 'first', mtime: '12.5', 'SCHILY.xattr.user.a': 'v' }),
  entry({ name: 'x', body: 'first file' }),
  long('L', 'n'.repeat(150)),
  entry({ name: 'n'.repeat(100), body: 'second', magic: 'gnu' }),
  entry({ name: 'link', type: '1', linkName: 'first' }),
  entry({ name: 'symlink', type: '2', linkName: '../anywhere' }),
);

test('every bit of an archive, flipped alone, is refused or changes nothing but the bytes of a file', async () => {
  const original = await read(SAMPLE);
  const data = new Set(['first file', 'second'].map((text) => SAMPLE.indexOf(text)));
  let refused = 0;
  for (let bit = 0; bit < (SAMPLE.length - END.length) * 8; bit += 1) {
    const copy = Buffer.from(SAMPLE);
    const at = bit >> 3;
    copy[at] = (copy[at] ?? 0) ^ (1 << (bit & 7));
    const inData = [...data].some((start) => at >= start && at < start + 512);
    const result = await outcome(copy);
    if (result instanceof RefloatError) refused += 1;
    else if (!inData && !inPaxValue(at)) assert.deepEqual(result, original, `byte ${at}, bit ${bit & 7}`);
  }
  assert.ok(refused > 10_000);
});

/** Bodies of metadata have no checksum in tar; the digest of the archive covers them. */
const inPaxValue = (at: number): boolean => (at >= 1024 && at < 1536) || (at >= 3072 && at < 3584);

test('an empty file is no directory because the piece of its long name in the header ends in a slash', async () => {
  const path = `${'d'.repeat(99)}/empty`;
  const cut = path.slice(0, 100);
  for (const archive of [
    tar(pax({ path }), entry({ name: cut })),
    tar(long('L', path), entry({ name: cut, magic: 'gnu' })),
  ])
    assert.deepEqual(
      (await read(archive)).map(({ path, type }) => ({ path, type })),
      [{ path, type: 'file' }],
    );
  assert.deepEqual(
    (await read(tar(entry({ name: 'before-ustar/', magic: 'v7' })))).map(({ type }) => type),
    ['directory'],
  );
});

test('an archive that is cut anywhere is refused', async () => {
  for (let length = 0; length < SAMPLE.length; length += 1) {
    const result = await outcome(SAMPLE.subarray(0, length));
    assert.ok(result instanceof RefloatError, `cut at ${length}`);
    assert.match(result.code, /^ARCHIVE_(TRUNCATED|REFUSED)$/);
  }
});

test('how the bytes arrive makes no difference', async () => {
  const original = await read(SAMPLE);
  for (const step of [1, 7, 511, 512, 513, 1000, 4096]) assert.deepEqual(await read(SAMPLE, step), original, `${step}`);
});

const NAME = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte))).toString('latin1'))
  .filter((name) => name !== '.' && name !== '..');

const MEMBER = fc.record({
  name: NAME,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 4_294_967_294 }),
  gid: fc.integer({ min: 0, max: 4_294_967_294 }),
  seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  data: fc.uint8Array({ maxLength: 1500 }),
  xattr: fc.option(
    fc.tuple(
      NAME.filter((name) => name.length < 200),
      fc.uint8Array({ maxLength: 300 }),
    ),
  ),
});

test('any names, owners, times, attributes and bytes come back as they were written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(MEMBER, { maxLength: 12, selector: ({ name }) => name }),
      fc.integer({ min: 1, max: 5000 }),
      async (members, step) => {
        const parts: Buffer[] = [];
        const model: Seen[] = [];
        for (const { name, mode, uid, gid, seconds, nanoseconds, data, xattr } of members) {
          const body = Buffer.from(data);
          const xattrs =
            xattr === null ? [] : [{ name: Buffer.from(`user.${xattr[0]}`, 'latin1'), value: Buffer.from(xattr[1]) }];
          const mtime = { seconds, nanoseconds };
          parts.push(
            encodeHeader({
              type: '0',
              name,
              linkName: '',
              mode,
              uid,
              gid,
              mtime,
              size: body.length,
              xattrs,
              symlinkName: null,
              sparseSize: null,
            }),
          );
          parts.push(body, Buffer.alloc((512 - (body.length % 512)) % 512));
          model.push({
            path: name,
            type: 'file',
            target: '',
            mode,
            owner: `${uid}:${gid}`,
            time: `${seconds}.${nanoseconds}`,
            data: body.toString('hex'),
            xattrs: xattrs.map((each) => `${each.name.toString('hex')}=${each.value.toString('hex')}`).join(),
          });
        }
        assert.deepEqual(await read(tar(...parts), step), model);
      },
    ),
    { numRuns: 300 },
  );
});

test('random damage ends in a refusal or a result, never in anything else', async () => {
  const damage = fc.array(fc.tuple(fc.integer({ min: 0, max: SAMPLE.length - 1 }), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.boolean(), async (changes, repair) => {
      const copy = Buffer.from(SAMPLE);
      for (const [at, byte] of changes) copy[at] = byte;
      // With right checksums the damage gets past the first line of defence.
      if (repair)
        for (let at = 0; at + 512 <= copy.length; at += 512)
          if (copy.subarray(at + 257, at + 262).toString() === 'ustar') fixChecksum(copy, at);
      await outcome(copy);
    }),
    { numRuns: 5000 },
  );
});

function fixChecksum(bytes: Buffer, at: number): void {
  bytes.fill(0x20, at + 148, at + 156);
  let sum = 0;
  for (let index = at; index < at + 512; index += 1) sum += bytes[index] ?? 0;
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

test('a million random number fields give a safe number or null', () => {
  const field = Buffer.alloc(12);
  let seed = 42;
  for (let run = 0; run < 1_000_000; run += 1) {
    for (let index = 0; index < 12; index += 1) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      field[index] = (run & 3) === 0 ? seed >>> 24 : ([0x30, 0x37, 0x20, 0, 0x31, 0x80, 0x38, 0x2d][seed >>> 29] ?? 0);
    }
    const value = parseNumber(field, 0, 12);
    assert.ok(value === null || Number.isSafeInteger(value));
  }
});

test('random pax bodies parse to records that encode to the same bytes, or are refused', () => {
  const text = fc
    .array(fc.constantFrom('9 ', '12 ', 'path=', 'a', '=', '\n', '0', '\0', 'mtime=1\n', '6 a=b\n', '11 path=ab\n'), {
      maxLength: 30,
    })
    .map((parts) => Buffer.from(parts.join(''), 'latin1'));
  fc.assert(
    fc.property(text, (body) => {
      let records: ReturnType<typeof parsePax>;
      try {
        records = parsePax(body, 'x');
      } catch (error) {
        assert.ok(error instanceof RefloatError);
        return;
      }
      const again = Buffer.concat(records.map(({ key, value }) => encodePax(key, value)));
      if (new Set(records.map(({ key }) => key)).size === records.length && again.length === body.length)
        assert.deepEqual(again, body);
    }),
    { numRuns: 20_000 },
  );
});

test('times are cut towards the past, on both sides of 1970', () => {
  assert.deepEqual(parseTime('0.0000000019'), { seconds: 0, nanoseconds: 1 });
  assert.deepEqual(parseTime('-0.0000000019'), { seconds: -1, nanoseconds: 999_999_998 });
  assert.deepEqual(parseTime('-1'), { seconds: -1, nanoseconds: 0 });
  for (const text of ['', '.', '1.2.3', '1e3', ' 1', '+1', '0x1', '--1', '99999999999999999999'])
    assert.equal(parseTime(text), null, text);
});
