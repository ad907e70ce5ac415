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
  type MemberType,
  memberType,
  nothingPending,
  type Pending,
  readAttributes,
} from './member.ts';
import { parsePax } from './pax.ts';
import { refusal } from './refusal.ts';
import { readSparse, type SparseData } from './sparse-reader.ts';

/** Largest pax or GNU record, bytes. */
const MAX_RECORD = 1_048_576;

/** Types of headers that are followed by a record about the next member, or about all. */
const RECORDS: ReadonlySet<string> = new Set(['x', 'X', 'g', 'L', 'K', 'A']);
const padded = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

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
      // Nothing is awaited that is there: a promise costs more than a header.
      const block = this.#queue.available < BLOCK ? await this.#block() : this.#queue.read(BLOCK);
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
      if (RECORDS.has(header.type) && this.#queue.available < padded(header.size)) await this.#waitForRecord(header);
      if (this.#takeMetadata(header, pending)) continue;
      const attributes = readAttributes(header, pending, this.#globals);
      this.#last = attributes.name;
      const type = memberType(header, attributes.name);
      const isSparse = type === 'file' && (header.type === 'S' || attributes.sparse !== null);
      const sparse = isSparse ? await readSparse(header, block, attributes, async () => await this.#block()) : null;
      const member = this.#member(type, header, attributes, sparse, pending.ignored);
      if (type === 'directory' && this.#dataLeft > 0) await this.#skipData();
      return member;
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
    this.#queue.skip(this.#padding);
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

  /** As much of it as there is; `#record` finds out what is missing. */
  async #waitForRecord(header: Header): Promise<void> {
    if (header.size <= MAX_RECORD) await this.#queue.need(padded(header.size));
  }

  #record(header: Header): Buffer {
    if (header.size > MAX_RECORD)
      throw refusal('ARCHIVE_LIMIT', 'record-size', 'a metadata record is larger than 1 MiB', header.name);
    if (this.#queue.available < padded(header.size))
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-meta', 'the archive ends inside a metadata record', header.name);
    const record = Buffer.from(this.#queue.read(header.size));
    this.#queue.skip(padded(header.size) - header.size);
    return record;
  }

  /** True when the header was metadata for the next member. */
  #takeMetadata(header: Header, pending: Pending): boolean {
    switch (header.type) {
      case 'x':
      case 'X': {
        if (pending.pax !== null)
          throw refusal('ARCHIVE_REFUSED', 'two-pax-headers', 'one entry has two pax headers', header.name);
        if (pending.longName !== null || pending.longLink !== null) throw mixed(header.name);
        pending.pax = parsePax(this.#record(header), header.name);
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
        this.#globals.set(parsePax(this.#record(header), header.name), header.name);
        return true;
      }
      case 'L':
      case 'K': {
        if (pending.pax !== null) throw mixed(header.name);
        const which = header.type === 'L' ? 'longName' : 'longLink';
        if (pending[which] !== null)
          throw refusal('ARCHIVE_REFUSED', 'two-long-names', 'one entry has two long names', header.name);
        pending[which] = longName(this.#record(header), header.name);
        return true;
      }
      case 'V':
        if (header.size !== 0)
          throw refusal('ARCHIVE_REFUSED', 'label-with-data', 'a volume label has data', header.name);
        return true;
      case 'A':
        if (pending.ignored.length > 0)
          throw refusal('ARCHIVE_REFUSED', 'two-acls', 'one entry has two access control lists', header.name);
        this.#record(header);
        pending.ignored.push('solaris-acl');
        return true;
      default:
        return false;
    }
  }

  #member(
    type: MemberType,
    header: Header,
    attributes: Attributes,
    sparse: SparseData | null,
    ignored: readonly string[],
  ): Member {
    const stored = sparse?.dataBytes ?? attributes.size;
    if (type !== 'file' && stored !== 0 && header.type !== 'D')
      throw refusal('ARCHIVE_REFUSED', 'size-on-non-file', 'an entry that is not a file has a size', attributes.name);
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
      size: type === 'file' ? (sparse?.map.realSize ?? stored) : 0,
      sparse: sparse?.map ?? null,
      xattrs: attributes.xattrs,
      ignored: directoryData > 0 ? [...ignored, 'gnu-dumpdir'] : ignored,
    };
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
