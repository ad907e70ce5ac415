/**
 * How the archive says no: one function per kind of refusal, each with the entry (control bytes escaped) and a stable rule.
 *
 * Guarantees: a message, a log line or a terminal never receives a raw control byte of an archive.
 */
import type { ErrorCode } from '../../db/errors.ts';
import { RefloatError } from '../../db/errors.ts';

export type ArchiveCode = Extract<
  ErrorCode,
  | 'ARCHIVE_REFUSED'
  | 'ARCHIVE_TRUNCATED'
  | 'ARCHIVE_CORRUPT'
  | 'ARCHIVE_LIMIT'
  | 'ARCHIVE_CHANGED'
  | 'ARCHIVE_MISSING'
  | 'DESTINATION_EXISTS'
  | 'DISK_FULL'
  | 'INODES_FULL'
  | 'FILE_SYSTEM_FAILED'
>;

const HINTS: Readonly<Record<ArchiveCode, string>> = {
  ARCHIVE_REFUSED:
    'Nothing was written. Take the archive from where it came from again, or make a new one; do not extract it with another tool as root.',
  ARCHIVE_TRUNCATED: 'Nothing was written. The archive ends early: copy it again, or use another snapshot.',
  ARCHIVE_CORRUPT: 'Nothing was written. The archive is damaged: copy it again, or use another snapshot.',
  ARCHIVE_LIMIT: 'Nothing was written. If you trust the archive, raise the limit that the message names.',
  ARCHIVE_CHANGED: 'Nothing was written. The archive is not the one that was captured: use another snapshot.',
  ARCHIVE_MISSING: 'Check the path of the archive.',
  DESTINATION_EXISTS: 'Name a directory that does not exist yet, in one that does.',
  DISK_FULL: 'Free some space on the file system of the destination, and try again.',
  INODES_FULL: 'Free some inodes on the file system of the destination, and try again.',
  FILE_SYSTEM_FAILED: 'Look at the file system and the kernel log of the host.',
};

export const ARCHIVE_CODES = Object.keys(HINTS) as readonly ArchiveCode[];

const FAILURES: ReadonlySet<ArchiveCode> = new Set(['DISK_FULL', 'INODES_FULL', 'FILE_SYSTEM_FAILED']);

/** File name bytes for people: printable ASCII and valid UTF-8 letters stay, the rest becomes `\xNN`; at most 300 characters. */
export function escapeName(name: Buffer): string {
  const text = name.length > 4096 ? name.subarray(0, 4096) : name;
  const decoded = text.toString('utf8');
  const valid = !decoded.includes('\ufffd');
  const source = valid ? decoded : text.toString('latin1');
  let out = '';
  for (const character of source) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\\') out += '\\\\';
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (!valid && code >= 0x80))
      out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (/[\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/u.test(character)) out += `\\u{${code.toString(16)}}`;
    else out += character;
  }
  return out.length > 300 ? `${out.slice(0, 297)}...` : out;
}

/**
 * @param rule stable, kebab case; what tests and scripts match on
 * @param entry raw bytes of the entry's name (a string is latin1), if one is meant
 */
export function refusal(
  code: ArchiveCode,
  rule: string,
  message: string,
  entry?: Buffer | string | null,
  cause?: unknown,
): RefloatError {
  const shown =
    entry === undefined || entry === null
      ? undefined
      : escapeName(typeof entry === 'string' ? Buffer.from(entry, 'latin1') : entry);
  return new RefloatError(code, shown === undefined ? message : `${message}: ${shown}`, {
    hint: HINTS[code],
    disposition: FAILURES.has(code) ? 'fail' : 'refuse',
    details: { rule, ...(shown === undefined ? {} : { entry: shown }) },
    ...(cause === undefined ? {} : { cause }),
  });
}
