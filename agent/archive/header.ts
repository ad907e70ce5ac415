/**
 * One 512-byte tar header block, read strictly: v7, ustar, pax, GNU, old GNU and star.
 *
 * Guarantees: checksum verified, every number well formed and in range, names cut at their first NUL and otherwise raw bytes.
 * Does not guarantee: that the name is safe; entry-rules.ts decides that.
 */
import { parseNumber } from './numbers.ts';
import { refusal } from './refusal.ts';

export const BLOCK = 512;
const MAX_ID = 4_294_967_294;
/** `usta`, of `ustar`. */
const USTA = 0x75737461;

export interface Header {
  /** A single character; NUL is given as '0'. */
  readonly type: string;
  /** Raw bytes as latin1. */
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow in the archive. */
  readonly size: number;
  readonly mtime: number;
  readonly gnu: boolean;
}

export function isZeroBlock(block: Buffer): boolean {
  for (let index = 0; index < BLOCK; index += 1) if (block[index] !== 0) return false;
  return true;
}

function checksumMatches(block: Buffer): boolean {
  const stored = parseNumber(block, 148, 8);
  if (stored === null) return false;
  // The field itself counts as eight blanks.
  let unsigned = 256;
  for (let index = 0; index < 148; index += 1) unsigned += block[index] as number;
  for (let index = 156; index < BLOCK; index += 1) unsigned += block[index] as number;
  // Some old writers summed signed characters. Both sums protect the same bytes.
  return stored === unsigned || stored === unsigned - negativeBytes(block);
}

/** What the bytes of 128 and more lose when they are taken for signed ones. */
function negativeBytes(block: Buffer): number {
  let negative = 0;
  for (let index = 0; index < BLOCK; index += 1)
    if (index < 148 || index >= 156) negative += (block[index] as number) & 0x80;
  return 2 * negative;
}

/** Bytes of a field up to its first NUL. */
function field(block: Buffer, offset: number, length: number): string {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end += 1;
  return end === offset ? '' : block.toString('latin1', offset, end);
}

function fullName(block: Buffer, gnu: boolean, ustar: boolean): string {
  const name = field(block, 0, 100);
  if (!ustar || gnu) return name;
  // star keeps 131 bytes of prefix and puts two times and "tar\0" behind it.
  const star = block.toString('latin1', 508, 512) === 'tar\0' && block[475] === 0;
  const prefix = field(block, 345, star ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Throws ARCHIVE_CORRUPT for a bad checksum, ARCHIVE_REFUSED for a malformed field. `block` is not kept. */
export function parseHeader(block: Buffer): Header {
  if (!checksumMatches(block))
    throw refusal('ARCHIVE_CORRUPT', 'bad-checksum', 'a tar header has a wrong checksum', field(block, 0, 100));
  const magic = block.readUInt32BE(257) === USTA && block[261] === 0x72;
  const gnu = magic && block[262] === 0x20 && block[263] === 0x20 && block[264] === 0;
  const ustar = gnu || (magic && block[262] === 0);
  const name = fullName(block, gnu, ustar);
  const number = (offset: number, length: number, what: string): number => {
    const value = parseNumber(block, offset, length);
    if (value === null) throw refusal('ARCHIVE_REFUSED', 'bad-number', `a tar header has a malformed ${what}`, name);
    return value;
  };
  const size = number(124, 12, 'size');
  if (size < 0) throw refusal('ARCHIVE_REFUSED', 'negative-size', 'a tar header has a negative size', name);
  const typeByte = block[156] ?? 0;
  return {
    type: typeByte === 0 ? '0' : String.fromCharCode(typeByte),
    name,
    linkName: field(block, 157, 100),
    mode: number(100, 8, 'mode'),
    uid: checkId(number(108, 8, 'owner'), name),
    gid: checkId(number(116, 8, 'group'), name),
    size,
    mtime: number(136, 12, 'time'),
    gnu,
  };
}

export function checkId(id: number, name: string): number {
  // -2 is how "nobody" was written by systems with 16-bit ids; like every other negative id it has two readings.
  if (id < 0 || id > MAX_ID) throw refusal('ARCHIVE_REFUSED', 'bad-id', 'an owner or group is out of range', name);
  return id;
}
