/**
 * The headers of most files of most trees (short plain names, no attributes), written without making an object or a string.
 *
 * Guarantees: the same bytes as tar-writer.ts.
 */
import { BLOCK } from './header.ts';
import type { Stat } from './syscalls.ts';
import { encodeHeader, writeChecksum, writeOctal } from './tar-writer.ts';

const MAX_ID = 0o7777777;
/** Between these the number of seconds has ten digits and fits a header. */
const MIN_SECONDS = 1_000_000_000;
const MAX_SECONDS = 0o77777777777;
const MAX_NAME = 100;

/** The headers of a file of no name and no size, with zeros as time: pax header, its body, and the file's own. */
const TEMPLATE = withBlanks();
const SECONDS_AT = TEMPLATE.indexOf('1000000000.000000001', 0, 'latin1');
const NANOSECONDS_AT = SECONDS_AT + 11;
const PAX_BYTES = 2 * BLOCK;

function withBlanks(): Buffer {
  const stat = { mode: 0, uid: 0, gid: 0, mtime: { seconds: MIN_SECONDS, nanoseconds: 1 } };
  const rest = { type: '0', name: '', linkName: '', size: 0, xattrs: [], symlinkName: null, sparseSize: null } as const;
  return encodeHeader({ ...stat, ...rest });
}

type Numbers = Pick<Stat, 'mode' | 'uid' | 'gid' | 'size' | 'mtimeSeconds' | 'mtimeNanoseconds'>;

/** 0 for what has no plain headers. @param path latin1 bytes */
export function plainHeaderLength(path: string, stat: Numbers): number {
  const { uid, gid, size, mtimeSeconds } = stat;
  if (uid > MAX_ID || gid > MAX_ID || mtimeSeconds < MIN_SECONDS || mtimeSeconds > MAX_SECONDS) return 0;
  if (path.length > MAX_NAME || size > MAX_SECONDS) return 0;
  for (let index = 0; index < path.length; index += 1) {
    const code = path.charCodeAt(index);
    if (code < 0x20 || code > 0x7e) return 0;
  }
  return stat.mtimeNanoseconds === 0 ? BLOCK : PAX_BYTES + BLOCK;
}

/** @param length from `plainHeaderLength` */
export function writePlainHeader(out: Buffer, at: number, path: string, stat: Numbers, length: number): void {
  TEMPLATE.copy(out, at, TEMPLATE.length - length);
  if (length > BLOCK) {
    writeDecimal(out, at + SECONDS_AT, 10, stat.mtimeSeconds);
    writeDecimal(out, at + NANOSECONDS_AT, 9, stat.mtimeNanoseconds);
  }
  const header = at + length - BLOCK;
  for (let index = 0; index < path.length; index += 1) out[header + index] = path.charCodeAt(index);
  writeOctal(out, header + 100, 7, stat.mode & 0o7777);
  writeOctal(out, header + 108, 7, stat.uid);
  writeOctal(out, header + 116, 7, stat.gid);
  writeOctal(out, header + 124, 11, stat.size);
  writeOctal(out, header + 136, 11, stat.mtimeSeconds);
  writeChecksum(out, header);
}

function writeDecimal(out: Buffer, at: number, digits: number, value: number): void {
  let left = value;
  for (let index = at + digits - 1; index >= at; index -= 1) {
    const shorter = Math.floor(left / 10);
    out[index] = 0x30 + left - shorter * 10;
    left = shorter;
  }
}
