/**
 * Encodes members as POSIX pax headers that tar-reader.ts, GNU tar and bsdtar read the same way.
 *
 * Guarantees: what ustar cannot hold exactly goes into a pax header; names keep their bytes.
 */
import { formatAclText } from './acl.ts';
import { BLOCK } from './header.ts';
import type { Time } from './numbers.ts';
import { encodePax } from './pax.ts';
import { SYMLINK_NAME_KEY } from './symlink-names.ts';
import type { Xattr } from './syscalls.ts';

export interface HeaderFields {
  /** '0' file, '1' hard link, '2' symlink, '5' directory */
  readonly type: '0' | '1' | '2' | '5';
  /** Latin1 bytes; a directory's ends in a slash. */
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** Bytes that follow. */
  readonly size: number;
  readonly xattrs: readonly Xattr[];
  /** Path under which the archive has this symlink first; null for what has one name. */
  readonly symlinkName: string | null;
  /** Apparent size of a sparse file, which then is in GNU format 1.0. */
  readonly sparseSize: number | null;
}

const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;
const plain = (text: string): boolean => /^[ -~]*$/.test(text);

/** The pax records that a member needs, and the length of all its header blocks. */
export interface HeaderPlan {
  readonly records: readonly Buffer[];
  readonly bodyLength: number;
  readonly length: number;
}

export function headerLength(fields: HeaderFields): HeaderPlan {
  const records = paxRecords(fields);
  let bodyLength = 0;
  for (const record of records) bodyLength += record.length;
  return {
    records,
    bodyLength,
    length: records.length === 0 ? BLOCK : 2 * BLOCK + Math.ceil(bodyLength / BLOCK) * BLOCK,
  };
}

/** All header blocks of one member in a buffer of their own. */
export function encodeHeader(fields: HeaderFields): Buffer {
  const plan = headerLength(fields);
  const out = Buffer.allocUnsafe(plan.length);
  writeHeader(out, 0, fields, plan);
  return out;
}

const BLANK = { linkName: '', mode: 0o600, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };

/** All header blocks of one member at `at`, whatever was there before. */
export function writeHeader(
  out: Buffer,
  at: number,
  fields: HeaderFields,
  { records, bodyLength, length }: HeaderPlan,
): void {
  out.fill(0, at, at + length);
  if (records.length > 0) {
    fillHeader(out, at, BLANK, 'x', 'PaxHeaders/x', bodyLength);
    let position = at + BLOCK;
    for (const record of records) position += record.copy(out, position);
  }
  const name =
    fields.sparseSize === null ? fields.name : `GNUSparseFile.0/${fields.name.slice(fields.name.lastIndexOf('/') + 1)}`;
  fillHeader(out, at + length - BLOCK, fields, fields.type, name, fields.size);
}

function paxRecords(fields: HeaderFields): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: string): void => void records.push(encodePax(key, Buffer.from(value, 'latin1')));
  const longName = !plain(fields.name) || fields.name.length > 100;
  const longLink = !plain(fields.linkName) || fields.linkName.length > 100;
  if ((longName && !isStableText(fields.name)) || (longLink && !isStableText(fields.linkName)))
    add('hdrcharset', 'BINARY');
  if (fields.sparseSize !== null) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', fields.name);
    add('GNU.sparse.realsize', String(fields.sparseSize));
  } else if (longName) add('path', fields.name);
  if (longLink) add('linkpath', fields.linkName);
  if (fields.symlinkName !== null) add(SYMLINK_NAME_KEY, fields.symlinkName);
  if (fields.size > MAX_OCTAL_11) add('size', String(fields.size));
  if (fields.uid > MAX_OCTAL_7) add('uid', String(fields.uid));
  if (fields.gid > MAX_OCTAL_7) add('gid', String(fields.gid));
  const { seconds, nanoseconds } = fields.mtime;
  if (nanoseconds !== 0 || seconds < 0 || seconds > MAX_OCTAL_11) add('mtime', formatTime(fields.mtime));
  for (const { name, value } of fields.xattrs) {
    const key = name.toString('latin1');
    records.push(encodePax(`SCHILY.xattr.${key.replaceAll('%', '%25').replaceAll('=', '%3D')}`, value));
    const acl = { 'system.posix_acl_access': 'SCHILY.acl.access', 'system.posix_acl_default': 'SCHILY.acl.default' }[
      key
    ];
    // GNU tar and bsdtar take ACLs from the text alone.
    const text = acl === undefined ? null : formatAclText(value);
    if (acl !== undefined && text !== null) add(acl, text);
  }
  return records;
}

/** Whether a reader that takes names for text keeps the bytes: valid UTF-8, and composed, since libarchive composes it. */
function isStableText(latin1: string): boolean {
  const bytes = Buffer.from(latin1, 'latin1');
  return Buffer.from(bytes.toString('utf8').normalize('NFC'), 'utf8').equals(bytes);
}

/** Decimal seconds; `-1 s + 750,000,000 ns` is `-0.25`. */
function formatTime({ seconds, nanoseconds }: Time): string {
  if (nanoseconds === 0) return String(seconds);
  if (seconds >= 0) return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
  const whole = -seconds - 1;
  return `-${whole}.${String(1_000_000_000 - nanoseconds).padStart(9, '0')}`;
}

interface UstarFields {
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
}

/** `out` must be zero from `at` on. */
function fillHeader(out: Buffer, at: number, fields: UstarFields, type: string, name: string, size: number): void {
  out.write(name.slice(0, 100), at, 'latin1');
  writeOctal(out, at + 100, 7, fields.mode);
  writeOctal(out, at + 108, 7, fields.uid > MAX_OCTAL_7 ? 0 : fields.uid);
  writeOctal(out, at + 116, 7, fields.gid > MAX_OCTAL_7 ? 0 : fields.gid);
  writeOctal(out, at + 124, 11, size > MAX_OCTAL_11 ? 0 : size);
  const { seconds } = fields.mtime;
  writeOctal(out, at + 136, 11, seconds < 0 || seconds > MAX_OCTAL_11 ? 0 : seconds);
  out.write(type, at + 156, 'latin1');
  out.write(fields.linkName.slice(0, 100), at + 157, 'latin1');
  out.write('ustar\x0000', at + 257, 'latin1');
  writeChecksum(out, at);
}

/** Of a header that is zero behind its first 265 bytes. */
export function writeChecksum(out: Buffer, at: number): void {
  // The field itself counts as eight blanks.
  let sum = 256;
  for (let index = at; index < at + 148; index += 1) sum += out[index] ?? 0;
  for (let index = at + 156; index < at + 265; index += 1) sum += out[index] ?? 0;
  writeOctal(out, at + 148, 6, sum);
  out[at + 155] = 0x20;
}

export function writeOctal(out: Buffer, at: number, digits: number, value: number): void {
  // Two halves that fit 32 bits, since shifts are much faster than divisions.
  let low = value % 1_073_741_824;
  let high = (value - low) / 1_073_741_824;
  let index = at + digits - 1;
  for (let count = 0; count < 10 && index >= at; count += 1, index -= 1) {
    out[index] = 0x30 | (low & 7);
    low >>>= 3;
  }
  for (; index >= at; index -= 1) {
    out[index] = 0x30 | (high & 7);
    high >>>= 3;
  }
}

/** The map that leads the data of a sparse file in GNU format 1.0. */
export function encodeSparseMap(segments: readonly number[], realSize: number): Buffer {
  const ends = segments.length === 0 ? 0 : (segments.at(-2) ?? 0) + (segments.at(-1) ?? 0);
  // GNU tar sets the size from the last segment, so a hole at the end needs an empty one.
  const all = ends < realSize || segments.length === 0 ? [...segments, realSize, 0] : segments;
  const text = Buffer.from(`${all.length / 2}\n${all.join('\n')}\n`, 'latin1');
  const out = Buffer.alloc(Math.ceil(text.length / BLOCK) * BLOCK);
  text.copy(out);
  return out;
}
