/** Reads the map of a sparse file, wherever its format keeps it: in header blocks (old GNU), in pax records, or before the data (pax 1.0). */
import { BLOCK, type Header } from './header.ts';
import type { Attributes } from './member.ts';
import { parseDecimal } from './numbers.ts';
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

export interface SparseData {
  readonly map: SparseMap;
  /** Bytes that follow in the archive now. */
  readonly dataBytes: number;
}

type NextBlock = () => Promise<Buffer>;

/**
 * @param block of the header
 * @param next the blocks that follow it, each valid until the next one
 */
export async function readSparse(
  header: Header,
  block: Buffer,
  { sparse, size, name }: Attributes,
  next: NextBlock,
): Promise<SparseData> {
  if (sparse === null) return { map: await oldGnuMap(Buffer.from(block), size, name, next), dataBytes: size };
  if (header.type === 'S') throw refusal('ARCHIVE_REFUSED', 'pax-and-gnu', 'one entry has pax and GNU metadata', name);
  return sparse.get('GNU.sparse.major') ? await leadingMap(sparse, size, name, next) : recordedMap(sparse, size, name);
}

async function oldGnuMap(block: Buffer, stored: number, entry: string, next: NextBlock): Promise<SparseMap> {
  const segments: number[] = [];
  const realSize = oldGnuRealSize(block, entry);
  readOldGnuPairs(block, 386, 4, segments, entry);
  for (let more = oldGnuExtended(block, true); more; ) {
    if (segments.length > 2_000_000)
      throw refusal('ARCHIVE_LIMIT', 'sparse-segments', 'a sparse file has too many segments', entry);
    const extension = await next();
    readOldGnuPairs(extension, 0, 21, segments, entry);
    more = oldGnuExtended(extension, false);
  }
  return checkSparse(segments, realSize, stored, entry);
}

async function leadingMap(
  sparse: ReadonlyMap<string, string>,
  stored: number,
  entry: string,
  next: NextBlock,
): Promise<SparseData> {
  if (sparse.get('GNU.sparse.major') !== '1' || sparse.get('GNU.sparse.minor') !== '0' || sparse.has('GNU.sparse.map'))
    throw refusal('ARCHIVE_REFUSED', 'sparse-format', 'a sparse file has an unknown format', entry);
  const realSize = parseDecimal(sparse.get('GNU.sparse.realsize') ?? '');
  if (realSize === null) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'a sparse file has no size', entry);
  const reader = new SparseMapReader(entry);
  let used = 0;
  for (let complete = false; !complete; ) {
    used += BLOCK;
    if (used > stored) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', entry);
    complete = reader.push(await next());
  }
  return { map: checkSparse(reader.segments, realSize, stored - used, entry), dataBytes: stored - used };
}

function recordedMap(sparse: ReadonlyMap<string, string>, stored: number, entry: string): SparseData {
  const realSize = parseDecimal(sparse.get('GNU.sparse.size') ?? '');
  if (realSize === null) throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'a sparse file has no size', entry);
  const segments = parseSparseList(sparse.get('GNU.sparse.map') ?? '', entry);
  const blocks = sparse.get('GNU.sparse.numblocks');
  if (blocks !== undefined && parseDecimal(blocks) !== segments.length / 2)
    throw refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', entry);
  return { map: checkSparse(segments, realSize, stored, entry), dataBytes: stored };
}
