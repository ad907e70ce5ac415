/**
 * Pax extended header records, `length key=value\n`, in bytes.
 *
 * Guarantees: every byte of the header belongs to exactly one well-formed record; a key given twice with two values is refused,
 * apart from the keys of sparse format 0.0, which are lists by design.
 */
import { refusal } from './refusal.ts';

export interface PaxRecord {
  readonly key: string;
  readonly value: Buffer;
}

const LISTS: ReadonlySet<string> = new Set(['GNU.sparse.offset', 'GNU.sparse.numbytes']);

/** @param entry name to blame */
export function parsePax(body: Buffer, entry: string): PaxRecord[] {
  const records: PaxRecord[] = [];
  let seen: Map<string, Buffer> | null = null;
  for (let start = 0; start < body.length; ) {
    let digits = start;
    let length = 0;
    while (digits < body.length && digits - start < 8) {
      const byte = body[digits] ?? 0;
      if (byte < 0x30 || byte > 0x39) break;
      length = length * 10 + (byte - 0x30);
      digits += 1;
    }
    const end = start + length;
    const equals = body.indexOf(0x3d, digits);
    const malformed =
      digits === start ||
      body[start] === 0x30 ||
      body[digits] !== 0x20 ||
      end > body.length ||
      body[end - 1] !== 0x0a ||
      equals <= digits + 1 ||
      equals >= end;
    if (malformed) throw refusal('ARCHIVE_REFUSED', 'pax-malformed', 'a pax header has a malformed record', entry);
    const key = body.toString('latin1', digits + 1, equals);
    const value = body.subarray(equals + 1, end - 1);
    if (key.includes('\0'))
      throw refusal('ARCHIVE_REFUSED', 'pax-malformed', 'a pax header has a malformed key', entry);
    start = end;
    // Most headers are one record, which needs no memory of those before.
    if (seen === null && end === body.length && records.length === 0) return [{ key, value }];
    seen ??= new Map();
    const before = seen.get(key);
    if (before !== undefined && !LISTS.has(key)) {
      if (!before.equals(value))
        throw refusal('ARCHIVE_REFUSED', 'pax-duplicate-key', 'a pax header gives one key two values', entry);
    } else {
      seen.set(key, value);
      records.push({ key, value });
    }
  }
  return records;
}

/** One record in bytes. The length counts itself, hence the loop. */
export function encodePax(key: string, value: Buffer): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  const out = Buffer.allocUnsafe(length);
  const start = out.write(`${length} ${key}=`, 0, 'latin1');
  value.copy(out, start);
  out[length - 1] = 0x0a;
  return out;
}
