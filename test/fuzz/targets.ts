/**
 * What is fuzzed: a header block, a pax body, a whole archive.
 *
 * Each target takes any bytes and throws only when the parser does what it must not: anything but a refusal, a member that breaks a
 * rule of the archive, or a result that changes when it is written and read again, or when the bytes arrive in other pieces.
 */
import assert from 'node:assert/strict';
import { ByteQueue } from '../../agent/archive/byte-queue.ts';
import { EntryRules } from '../../agent/archive/entry-rules.ts';
import { BLOCK, parseHeader } from '../../agent/archive/header.ts';
import type { Member } from '../../agent/archive/member.ts';
import { encodePax, parsePax } from '../../agent/archive/pax.ts';
import { TarReader } from '../../agent/archive/tar-reader.ts';
import { encodeHeader, encodeSparseMap, type HeaderFields } from '../../agent/archive/tar-writer.ts';
import { RefloatError } from '../../db/errors.ts';

/** One member as an extractor would see it. */
export interface Seen extends Pick<Member, 'type' | 'mode' | 'uid' | 'gid' | 'mtime' | 'size'> {
  readonly path: string;
  readonly target: string;
  /** Path under which the archive has this symlink first. */
  readonly symlinkName: string | null;
  readonly segments: readonly number[] | null;
  readonly data: string;
  /** Name and value in hex. */
  readonly xattrs: readonly string[];
}

/** What the target made of the input: the members of an accepted archive, or null for a refusal. */
export type Target = (input: Buffer) => readonly Seen[] | null | Promise<readonly Seen[] | null>;

export const TARGETS: Readonly<Record<'header' | 'pax' | 'archive', Target>> = {
  header: (input) => {
    if (input.length < BLOCK) return null;
    const header = accepted(() => parseHeader(input.subarray(0, BLOCK)));
    if (header === null) return null;
    for (const number of [header.mode, header.uid, header.gid, header.size, header.mtime])
      assert.ok(Number.isSafeInteger(number));
    assert.ok(header.size >= 0 && header.uid >= 0 && header.gid >= 0 && header.gid <= 4_294_967_294);
    assert.equal(header.type.length, 1);
    assert.ok(!header.name.includes('\0') && !header.linkName.includes('\0'));
    return [];
  },

  pax: (input) => {
    const records = accepted(() => parsePax(input, 'entry'));
    if (records === null) return null;
    const again = Buffer.concat(records.map(({ key, value }) => encodePax(key, value)));
    assert.deepEqual(parsePax(again, 'entry'), records);
    // Records may be dropped because they say the same twice; never added, never changed.
    assert.ok(again.length <= input.length);
    return [];
  },

  archive: async (input) => {
    const seen = await readArchive(input, input.length + 1);
    if (seen === null) return null;
    keepsTheRules(seen);
    assert.deepEqual(await readArchive(input, 1 + (input.length % 700)), seen, 'other pieces, other members');
    assert.deepEqual(await readArchive(write(seen), 1 << 20), seen, 'written and read again');
    return seen;
  },
};

function accepted<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    assertRefusal(error);
    return null;
  }
}

function assertRefusal(error: unknown): void {
  if (!(error instanceof RefloatError)) throw error;
  assert.equal(error.disposition, 'refuse');
  assert.match(error.code, /^ARCHIVE_(REFUSED|TRUNCATED|CORRUPT|LIMIT)$/);
  assert.match(String(error.details?.['rule']), /^[a-z0-9-]+$/);
  assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f]/);
}

const LIMITS = { maxEntries: 500, maxBytes: 2 ** 40 };

/** All members, or null if the archive is refused. @param step size of the pieces in which the bytes arrive */
async function readArchive(input: Buffer, step: number): Promise<Seen[] | null> {
  try {
    return await readMembers(input, step);
  } catch (error) {
    assertRefusal(error);
    return null;
  }
}

async function readMembers(input: Buffer, step: number): Promise<Seen[]> {
  const reader = new TarReader(new ByteQueue(pieces(input, step)));
  const rules = new EntryRules({ policy: 'faithful', limits: LIMITS });
  const seen: Seen[] = [];
  for (let member = await reader.next(); member !== null; member = await reader.next()) {
    const decision = rules.admit(member);
    const data: Buffer[] = [];
    for (let piece = await reader.data(1000); piece !== null; piece = await reader.data(1000))
      data.push(Buffer.from(piece));
    if (!decision.take) continue;
    const { type, mode, uid, gid, mtime, size } = member;
    seen.push({
      ...{ type, mode, uid, gid, mtime, size },
      path: decision.path,
      target: type === 'symlink' ? member.linkName : decision.target,
      symlinkName: member.symlinkName === null ? null : decision.target || decision.path,
      segments: member.sparse?.segments ?? null,
      data: Buffer.concat(data).toString('latin1'),
      xattrs: member.xattrs.map(({ name, value }) => `${name.toString('hex')}=${value.toString('hex')}`),
    });
  }
  return seen;
}

async function* pieces(input: Buffer, step: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < input.length; at += step) yield input.subarray(at, at + step);
}

/** The rules of an accepted archive, said a second time and without the code that enforces them. */
export function keepsTheRules(seen: readonly Seen[]): void {
  const types = new Map<string, string>();
  for (const { path, type, target, symlinkName, size, segments, data } of seen) {
    const parts = path.split('/');
    assert.ok(path === '' ? type === 'directory' : parts.every((part) => part !== '' && part !== '.' && part !== '..'));
    assert.ok(!path.includes('\0') && parts.every((part) => part.length <= 255) && parts.length <= 256);
    assert.ok(!types.has(path), 'a path twice');
    for (let up = parts.length - 1; up > 0; up -= 1)
      assert.ok(
        [undefined, 'directory'].includes(types.get(parts.slice(0, up).join('/'))),
        'below what is no directory',
      );
    for (const before of types.keys()) if (type !== 'directory') assert.ok(!before.startsWith(`${path}/`));
    if (type === 'hardlink')
      assert.ok(['file', 'hardlink'].includes(types.get(target) ?? ''), 'a link to what is no file');
    if (symlinkName !== null)
      assert.ok(type === 'symlink' && (symlinkName === path || types.get(symlinkName) === 'symlink'));
    if (type === 'symlink') assert.ok(target !== '' && !target.includes('\0'));
    assert.ok(type === 'file' || data === '');
    if (segments === null) assert.ok(type !== 'file' || data.length === size);
    types.set(path, type);
  }
}

const TYPE_FLAGS = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;

/** The archive that this code itself would write of these members. */
function write(seen: readonly Seen[]): Buffer {
  const parts: Buffer[] = [];
  for (const { path, type, target, symlinkName, mode, uid, gid, mtime, size, segments, data, xattrs } of seen) {
    if (type === 'device' || type === 'fifo') throw new Error(`${type} was accepted`);
    const bytes = Buffer.from(data, 'latin1');
    const map = segments === null ? Buffer.alloc(0) : encodeSparseMap(segments, size);
    const fields: HeaderFields = {
      type: TYPE_FLAGS[type],
      name: type === 'directory' ? `${path === '' ? '.' : path}/` : path,
      linkName: target,
      symlinkName,
      ...{ mode, uid, gid, mtime },
      size: map.length + bytes.length,
      xattrs: xattrs.map((text) => {
        const [name = '', value = ''] = text.split('=');
        return { name: Buffer.from(name, 'hex'), value: Buffer.from(value, 'hex') };
      }),
      sparseSize: segments === null ? null : size,
    };
    parts.push(encodeHeader(fields), map, bytes, Buffer.alloc((BLOCK - ((map.length + bytes.length) % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}
