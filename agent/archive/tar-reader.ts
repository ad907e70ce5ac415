/**
 * The one reader of tar: turns bytes into members, and refuses every archive that two readers could take for two trees.
 *
 * Guarantees: headers, pax and GNU records are consistent; each member's data is consumed exactly; the end marker is there and
 * nothing but zeros follows it.
 * Does not guarantee: that names are safe or members fit together; entry-rules.ts does.
 */
import type { ByteQueue } from './byte-queue.ts';
import { BLOCK, type Header, isZeroBlock, parseHeader } from './header.ts';
import {
  type Attributes,
  GlobalRecords,
  type Member,
  memberType,
  nothingPending,
  type Pending,
  readAttributes,
} from './member.ts';
import { parseDecimal } from './numbers.ts';
import { parsePax } from './pax.ts';
import { refusal } from './refusal.ts';
import {
  checkSparse,
  oldGnuExtended,
  oldGnuRealSize,
  parseSparseList,
  readOldGnuPairs,
  type SparseMap,
  SparseMapReader,
} from './sparse.ts';

/** Largest pax or GNU record, bytes. */
const MAX_RECORD = 1_048_576;

export class TarReader {
  readonly #queue: ByteQueue;
  readonly #globals = new GlobalRecords();
  #dataLeft = 0;
  #padding = 0;
  #last: string | null = null;

  constructor(queue: ByteQueue) {
    this.#queue = queue;
  }

  /** The next member, or null after a complete end marker. The data of the member before is skipped if it was not read. */
  async next(): Promise<Member | null> {
    if (this.#dataLeft > 0 || this.#padding > 0) await this.#skipData();
    const pending = nothingPending();
    for (;;) {
      const block = await this.#block();
      if (isZeroBlock(block)) {
        if (
          pending.pax !== null ||
          pending.longName !== null ||
          pending.longLink !== null ||
          pending.ignored.length > 0
        )
          throw refusal(
            'ARCHIVE_REFUSED',
            'metadata-at-end',
            'the archive ends with metadata that belongs to no entry',
            this.#last,
          );
        await this.#finish();
        return null;
      }
      const header = parseHeader(block);
      if (await this.#takeMetadata(header, pending)) continue;
      return await this.#member(header, header.type === 'S' ? Buffer.from(block) : block, pending);
    }
  }

  /** The next piece of the current member's data, valid until the next call; null when all was given. */
  async data(max: number): Promise<Buffer | null> {
    if (this.#dataLeft === 0) {
      if (this.#padding > 0) await this.#skipData();
      return null;
    }
    const piece = await this.#queue.some(Math.min(max, this.#dataLeft));
    if (piece === null)
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-body', 'the archive ends inside a file', this.#last);
    this.#dataLeft -= piece.length;
    return piece;
  }

  /** Whether the rest of the current member's data can be had as one piece without waiting. */
  wholeData(): Buffer | null {
    if (this.#queue.available < this.#dataLeft + this.#padding) return null;
    const piece = this.#queue.read(this.#dataLeft);
    this.#queue.read(this.#padding);
    this.#dataLeft = 0;
    this.#padding = 0;
    return piece;
  }

  /** As `wholeData`, waiting for what is missing. For small members alone: it is copied together. */
  async collectData(): Promise<Buffer> {
    await this.#queue.need(this.#dataLeft + this.#padding);
    const piece = this.wholeData();
    if (piece === null)
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-body', 'the archive ends inside a file', this.#last);
    return piece;
  }

  async #block(): Promise<Buffer> {
    if (this.#queue.available < BLOCK && !(await this.#queue.need(BLOCK))) {
      if (this.#queue.available > 0)
        throw refusal('ARCHIVE_TRUNCATED', 'truncated-header', 'the archive ends inside a header', this.#last);
      throw refusal('ARCHIVE_TRUNCATED', 'missing-end', 'the archive has no end marker', this.#last);
    }
    return this.#queue.read(BLOCK);
  }

  /** Two zero blocks, then zeros alone. */
  async #finish(): Promise<void> {
    if (!isZeroBlock(await this.#block()))
      throw refusal('ARCHIVE_REFUSED', 'lone-zero-block', 'a single zero block stands between entries', this.#last);
    for (;;) {
      const rest = await this.#queue.some(1_048_576);
      if (rest === null) return;
      for (const byte of rest)
        if (byte !== 0)
          throw refusal('ARCHIVE_REFUSED', 'data-after-end', 'data follows the end of the archive', this.#last);
    }
  }

  async #skipData(): Promise<void> {
    this.#dataLeft += this.#padding;
    this.#padding = 0;
    while ((await this.data(1_048_576)) !== null);
  }

  async #record(header: Header): Promise<Buffer> {
    if (header.size > MAX_RECORD)
      throw refusal('ARCHIVE_LIMIT', 'record-size', 'a metadata record is larger than 1 MiB', header.name);
    const padded = Math.ceil(header.size / BLOCK) * BLOCK;
    if (!(await this.#queue.need(padded)))
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-meta', 'the archive ends inside a metadata record', header.name);
    return Buffer.from(this.#queue.read(padded).subarray(0, header.size));
  }

  /** True when the header was metadata for the next member. */
  async #takeMetadata(header: Header, pending: Pending): Promise<boolean> {
    switch (header.type) {
      case 'x':
      case 'X': {
        if (pending.pax !== null)
          throw refusal('ARCHIVE_REFUSED', 'two-pax-headers', 'one entry has two pax headers', header.name);
        if (pending.longName !== null || pending.longLink !== null) throw mixed(header.name);
        pending.pax = parsePax(await this.#record(header), header.name);
        return true;
      }
      case 'g': {
        if (pending.pax !== null || pending.longName !== null || pending.longLink !== null)
          throw refusal(
            'ARCHIVE_REFUSED',
            'metadata-order',
            'a global header stands between an entry and its metadata',
            header.name,
          );
        this.#globals.set(parsePax(await this.#record(header), header.name), header.name);
        return true;
      }
      case 'L':
      case 'K': {
        if (pending.pax !== null) throw mixed(header.name);
        const which = header.type === 'L' ? 'longName' : 'longLink';
        if (pending[which] !== null)
          throw refusal('ARCHIVE_REFUSED', 'two-long-names', 'one entry has two long names', header.name);
        pending[which] = longName(await this.#record(header), header.name);
        return true;
      }
      case 'V':
        if (header.size !== 0)
          throw refusal('ARCHIVE_REFUSED', 'label-with-data', 'a volume label has data', header.name);
        return true;
      case 'A':
        if (pending.ignored.length > 0)
          throw refusal('ARCHIVE_REFUSED', 'two-acls', 'one entry has two access control lists', header.name);
        await this.#record(header);
        pending.ignored.push('solaris-acl');
        return true;
      default:
        return false;
    }
  }

  async #member(header: Header, block: Buffer, pending: Pending): Promise<Member> {
    const attributes = readAttributes(header, pending, this.#globals);
    this.#last = attributes.name;
    const type = memberType(header, attributes.name);
    let stored = attributes.size;
    let sparse: SparseMap | null = null;
    if (type !== 'file') {
      if (stored !== 0 && header.type !== 'D')
        throw refusal('ARCHIVE_REFUSED', 'size-on-non-file', 'an entry that is not a file has a size', attributes.name);
    } else if (header.type === 'S') sparse = await this.#oldGnuSparse(block, stored, attributes.name);
    else if (attributes.sparse.size > 0) {
      const read = await this.#paxSparse(attributes, stored);
      sparse = read.map;
      stored = read.dataBytes;
    }
    if (header.type === 'S' && attributes.sparse.size > 0) throw mixed(attributes.name);
    if (attributes.symlinkName !== null && type !== 'symlink')
      throw refusal(
        'ARCHIVE_REFUSED',
        'symlink-name',
        'an entry that is no symlink says that it has other names',
        attributes.name,
      );
    const directoryData = type === 'directory' ? stored : 0;
    this.#dataLeft = stored;
    this.#padding = (BLOCK - (stored % BLOCK)) % BLOCK;
    if (directoryData > 0) await this.#skipData();
    return {
      type,
      name: attributes.name,
      linkName: attributes.linkName,
      symlinkName: attributes.symlinkName,
      mode: header.mode & 0o7777,
      uid: attributes.uid,
      gid: attributes.gid,
      mtime: attributes.mtime,
      dataBytes: directoryData > 0 ? 0 : stored,
      size: type === 'file' ? (sparse?.realSize ?? stored) : 0,
      sparse,
      xattrs: attributes.xattrs,
      ignored: directoryData > 0 ? [...pending.ignored, 'gnu-dumpdir'] : pending.ignored,
    };
  }

  async #oldGnuSparse(block: Buffer, stored: number, entry: string): Promise<SparseMap> {
    const segments: number[] = [];
    const realSize = oldGnuRealSize(block, entry);
    readOldGnuPairs(block, 386, 4, segments, entry);
    for (let more = oldGnuExtended(block, true); more; ) {
      if (segments.length > 2_000_000)
        throw refusal('ARCHIVE_LIMIT', 'sparse-segments', 'a sparse file has too many segments', entry);
      const extension = await this.#block();
      readOldGnuPairs(extension, 0, 21, segments, entry);
      more = oldGnuExtended(extension, false);
    }
    return checkSparse(segments, realSize, stored, entry);
  }

  async #paxSparse(attributes: Attributes, stored: number): Promise<{ map: SparseMap; dataBytes: number }> {
    const { sparse, name } = attributes;
    const text = (key: string): string => sparse.get(`GNU.sparse.${key}`) ?? '';
    if (text('major') !== '') {
      if (text('major') !== '1' || text('minor') !== '0' || sparse.has('GNU.sparse.map'))
        throw refusal('ARCHIVE_REFUSED', 'sparse-format', 'a sparse file has an unknown format', name);
      const realSize = parseDecimal(text('realsize'));
      if (realSize === null) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'a sparse file has no size', name);
      const reader = new SparseMapReader(name);
      let used = 0;
      for (let complete = false; !complete; ) {
        used += BLOCK;
        if (used > stored)
          throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', name);
        complete = reader.push(await this.#block());
      }
      return { map: checkSparse(reader.segments, realSize, stored - used, name), dataBytes: stored - used };
    }
    const realSize = parseDecimal(text('size'));
    if (realSize === null) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'a sparse file has no size', name);
    const segments = parseSparseList(text('map'), name);
    const blocks = sparse.get('GNU.sparse.numblocks');
    if (blocks !== undefined && parseDecimal(blocks) !== segments.length / 2)
      throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', name);
    return { map: checkSparse(segments, realSize, stored, name), dataBytes: stored };
  }
}

const mixed = (entry: string): Error =>
  refusal('ARCHIVE_REFUSED', 'pax-and-gnu', 'one entry has pax and GNU metadata', entry);

function longName(record: Buffer, entry: string): string {
  const end = record.indexOf(0);
  if (end < 0) return record.toString('latin1');
  for (let index = end; index < record.length; index += 1)
    if (record[index] !== 0) throw refusal('ARCHIVE_REFUSED', 'nul-in-name', 'a long name has a NUL inside', entry);
  return record.toString('latin1', 0, end);
}
