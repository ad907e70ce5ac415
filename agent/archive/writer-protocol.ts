/**
 * How small files travel to the writer threads: through shared memory, many to a batch, without a message or a promise each.
 *
 * A ring per thread holds SLOTS batches. `control` is [produced, consumed, stop]; the extraction fills a slot and raises `produced`, the
 * thread writes its files and raises `consumed`.
 */
import type { Metadata } from './file-writer.ts';

export const SLOTS = 6;
export const SLOT_BYTES = 524_288;
/** Larger files are written by the extraction itself, which then spares a copy. */
export const MAX_SMALL_BYTES = 131_072;

export const PRODUCED = 0;
export const CONSUMED = 1;
export const STOP = 2;

export interface WriterData {
  readonly root: number;
  readonly control: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
}

export type WriterMessage =
  | { readonly ready: true }
  | { readonly error: unknown }
  | { readonly skipped: readonly [path: string, reason: string, detail?: string] }
  | { readonly stopped: true };

/** Fixed part: total u32, path length u32, xattr length u32, data length u32, mode, uid, gid, nanoseconds u32, seconds f64. */
const FIXED = 40;

/** Bytes that the file takes in a batch. */
export const encodedLength = (path: string, xattrs: string, data: number): number =>
  (FIXED + path.length + xattrs.length + data + 7) & ~7;

/** Attributes as text, '' for none; part of `encodedLength`. */
export const encodeXattrs = (meta: Metadata): string => (meta.xattrs.length === 0 ? '' : JSON.stringify(meta.xattrs));

/** Writes one file's record at `at` and returns where the next goes. */
export function encodeFile(
  batch: Buffer,
  at: number,
  path: string,
  meta: Metadata,
  xattrs: string,
  data: Buffer,
): number {
  const total = encodedLength(path, xattrs, data.length);
  batch.writeUInt32LE(total, at);
  batch.writeUInt32LE(path.length, at + 4);
  batch.writeUInt32LE(xattrs.length, at + 8);
  batch.writeUInt32LE(data.length, at + 12);
  batch.writeUInt32LE(meta.mode, at + 16);
  batch.writeUInt32LE(meta.uid, at + 20);
  batch.writeUInt32LE(meta.gid, at + 24);
  batch.writeUInt32LE(meta.nanoseconds, at + 28);
  batch.writeDoubleLE(meta.seconds, at + 32);
  batch.write(path, at + FIXED, 'latin1');
  batch.write(xattrs, at + FIXED + path.length, 'latin1');
  data.copy(batch, at + FIXED + path.length + xattrs.length);
  return at + total;
}

/** Reads a batch; a total of 0 ends it. */
export function decodeBatch(batch: Buffer, each: (path: string, meta: Metadata, data: Buffer) => void): void {
  for (let at = 0; at + FIXED <= batch.length; ) {
    const total = batch.readUInt32LE(at);
    if (total === 0) return;
    const pathEnd = at + FIXED + batch.readUInt32LE(at + 4);
    const xattrEnd = pathEnd + batch.readUInt32LE(at + 8);
    const xattrs = batch.toString('latin1', pathEnd, xattrEnd);
    const meta: Metadata = {
      mode: batch.readUInt32LE(at + 16),
      uid: batch.readUInt32LE(at + 20),
      gid: batch.readUInt32LE(at + 24),
      nanoseconds: batch.readUInt32LE(at + 28),
      seconds: batch.readDoubleLE(at + 32),
      xattrs: xattrs === '' ? [] : (JSON.parse(xattrs) as Metadata['xattrs']),
    };
    each(
      batch.toString('latin1', at + FIXED, pathEnd),
      meta,
      batch.subarray(xattrEnd, xattrEnd + batch.readUInt32LE(at + 12)),
    );
    at += total;
  }
}
