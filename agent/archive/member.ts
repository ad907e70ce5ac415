/**
 * What a member is, told from its header and from the metadata in front of it.
 *
 * Guarantees: every value is well formed; a global header sets nothing that decides where or what a member is.
 */
import { parseAclText } from './acl.ts';
import { checkId, type Header } from './header.ts';
import { parseDecimal, parseTime, type Time } from './numbers.ts';
import type { PaxRecord } from './pax.ts';
import { refusal } from './refusal.ts';
import type { SparseMap } from './sparse.ts';
import { SYMLINK_NAME_KEY } from './symlink-names.ts';
import type { Xattr } from './syscalls.ts';

export type MemberType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo';

export interface Member {
  readonly type: MemberType;
  /** As in the archive, raw bytes as latin1. */
  readonly name: string;
  readonly linkName: string;
  /** Name under which the archive has this symlink first, as in the archive; null for what has one name. */
  readonly symlinkName: string | null;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** Bytes of data to be read with `data()`. */
  readonly dataBytes: number;
  /** Size of the file once written. */
  readonly size: number;
  readonly sparse: SparseMap | null;
  readonly xattrs: readonly Xattr[];
  /** Metadata that Linux has no place for, by stable reason; reported, never dropped in silence. */
  readonly ignored: readonly string[];
}

/** Metadata gathered from the headers in front of a member. */
export interface Pending {
  pax: PaxRecord[] | null;
  longName: string | null;
  longLink: string | null;
  ignored: string[];
}

export const nothingPending = (): Pending => ({ pax: null, longName: null, longLink: null, ignored: [] });

/** Keys that decide where or what a member is: never for more than one member. */
const FORBIDDEN_GLOBAL =
  /^(path|linkpath|size|GNU\.sparse\..*|SCHILY\.(xattr|acl)\..*|LIBARCHIVE\.xattr\..*|SCHILY\.filetype|SCHILY\.realsize|REFLOAT\..*)$/;

/** Metadata of a member that a global header may set. */
const USED_GLOBALS: ReadonlySet<string> = new Set(['uid', 'gid', 'mtime']);

/** Records of global headers, which hold for all members that follow. */
export class GlobalRecords {
  readonly #records = new Map<string, Buffer>();

  set(records: readonly PaxRecord[], entry: string): void {
    for (const { key, value } of records) {
      if (FORBIDDEN_GLOBAL.test(key))
        throw refusal('ARCHIVE_REFUSED', 'global-name', `a global pax header sets ${key}`, entry);
      // The others say nothing that is kept; remembering them would let an archive fill the memory.
      if (!USED_GLOBALS.has(key)) continue;
      if (value.length === 0) this.#records.delete(key);
      else this.#records.set(key, Buffer.from(value));
    }
  }

  [Symbol.iterator](): Iterator<[string, Buffer]> {
    return this.#records[Symbol.iterator]();
  }
}

/** @param name the whole one, of whatever record gives it */
export function memberType(header: Header, name: string): MemberType {
  switch (header.type) {
    case '0':
    case '7':
      // Before ustar a directory was a file whose name ends in a slash. Of a longer name the header has a piece, which may end in one too.
      return name.endsWith('/') && header.name.endsWith('/') && header.size === 0 ? 'directory' : 'file';
    case 'S':
      return 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '3':
    case '4':
      return 'device';
    case '5':
    case 'D':
      return 'directory';
    case '6':
      return 'fifo';
    default:
      throw refusal('ARCHIVE_REFUSED', 'unknown-type', 'an entry has an unknown type', name);
  }
}

export interface Attributes {
  name: string;
  linkName: string;
  symlinkName: string | null;
  size: number;
  uid: number;
  gid: number;
  mtime: Time;
  xattrs: Xattr[];
  /** Values of GNU.sparse keys; null for none. */
  sparse: Map<string, string> | null;
}

export function readAttributes(header: Header, pending: Pending, globals: GlobalRecords): Attributes {
  const result: Attributes = {
    name: pending.longName ?? header.name,
    linkName: pending.longLink ?? header.linkName,
    symlinkName: null,
    size: header.size,
    uid: header.uid,
    gid: header.gid,
    mtime: { seconds: header.mtime, nanoseconds: 0 },
    xattrs: [],
    sparse: null,
  };
  for (const [key, value] of globals) applyRecord(result, key, value);
  if (pending.pax !== null) {
    const pairs: string[] = [];
    for (const { key, value } of pending.pax) {
      if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') sparsePair(pairs, key, value, result.name);
      else applyRecord(result, key, value);
    }
    if (pairs.length > 0) {
      if (result.sparse?.has('GNU.sparse.map') === true)
        throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'a sparse file has two maps', result.name);
      setSparse(result, 'GNU.sparse.map', pairs.join(','));
    }
    const name = result.sparse?.get('GNU.sparse.name');
    if (name !== undefined) result.name = name;
    finishXattrs(result);
  }
  if (result.name.includes('\0') || result.linkName.includes('\0'))
    throw refusal('ARCHIVE_REFUSED', 'nul-in-name', 'a name has a NUL inside', result.name);
  return result;
}

function setSparse(result: Attributes, key: string, value: string): void {
  result.sparse ??= new Map();
  result.sparse.set(key, value);
}

function sparsePair(pairs: string[], key: string, value: Buffer, entry: string): void {
  const wanted = pairs.length % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes';
  if (key !== wanted) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', entry);
  pairs.push(value.toString('latin1'));
}

function applyRecord(result: Attributes, key: string, value: Buffer): void {
  const bad = (rule: string): Error =>
    refusal(
      'ARCHIVE_REFUSED',
      rule,
      `the pax key ${key.replace(/[^ -~]/g, '?').slice(0, 80)} has a malformed value`,
      result.name,
    );
  switch (key) {
    case 'path':
      if (value.length > 0) result.name = value.toString('latin1');
      return;
    case 'linkpath':
      if (value.length > 0) result.linkName = value.toString('latin1');
      return;
    case 'size':
    case 'uid':
    case 'gid': {
      if (value.length === 0) return;
      const number = parseDecimal(value.toString('latin1'));
      if (number === null) throw bad('pax-bad-number');
      result[key] = key === 'size' ? number : checkId(number, result.name);
      return;
    }
    case 'mtime': {
      if (value.length === 0) return;
      const time = parseTime(value.toString('latin1'));
      if (time === null) throw bad('pax-bad-time');
      result.mtime = time;
      return;
    }
    case SYMLINK_NAME_KEY:
      result.symlinkName = value.toString('latin1');
      return;
    default:
      if (key.startsWith('GNU.sparse.')) setSparse(result, key, value.toString('latin1'));
      else if (key.startsWith('SCHILY.xattr.')) result.xattrs.push({ name: decodeName(key.slice(13)), value });
      else if (key === 'SCHILY.acl.access' || key === 'SCHILY.acl.default') {
        const acl = parseAclText(value.toString('latin1'));
        if (acl === null) throw bad('pax-bad-acl');
        result.xattrs.push({
          name: Buffer.from(key === 'SCHILY.acl.access' ? 'system.posix_acl_access' : 'system.posix_acl_default'),
          value: acl,
        });
      } else if (key.startsWith('LIBARCHIVE.xattr.'))
        result.xattrs.push({ name: decodeUrl(key.slice(17)), value: Buffer.from(value.toString('latin1'), 'base64') });
  }
}

/** GNU tar writes `=` in an attribute's name as `%3D` and `%` as `%25`. */
const decodeName = (name: string): Buffer => Buffer.from(name.replaceAll('%3D', '=').replaceAll('%25', '%'), 'latin1');
const decodeUrl = (name: string): Buffer =>
  Buffer.from(
    name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );

/** One attribute may be given in up to three spellings; the binary one decides. */
function finishXattrs(result: Attributes): void {
  if (result.xattrs.length === 0) return;
  const byName = new Map<string, Xattr>();
  for (const xattr of result.xattrs) {
    const name = xattr.name.toString('latin1');
    if (name === '' || name.includes('\0') || name.length > 255 || xattr.value.length > 65_536)
      throw refusal(
        'ARCHIVE_REFUSED',
        'bad-xattr',
        'an extended attribute has an impossible name or size',
        result.name,
      );
    if (!byName.has(name)) byName.set(name, xattr);
  }
  result.xattrs = [...byName.values()];
}
