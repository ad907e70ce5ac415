/** What the file system says while a tree is built, as the archive's own errors. */
import { refusal } from './refusal.ts';
import { SystemCallError } from './syscalls.ts';

/** @param path of the entry, latin1 bytes. What is not a SystemCallError comes back as it is. */
export function fileSystemError(path: string, error: unknown): unknown {
  if (!(error instanceof SystemCallError)) return error;
  const entry = Buffer.from(path, 'latin1');
  switch (error.code) {
    case 'EEXIST':
      return refusal('ARCHIVE_REFUSED', 'duplicate-entry', 'the archive has an entry twice', entry, error);
    case 'ELOOP':
    case 'ENOTDIR':
      return refusal(
        'ARCHIVE_REFUSED',
        'below-non-directory',
        'an entry lies below what is not a directory',
        entry,
        error,
      );
    case 'ENAMETOOLONG':
      return refusal('ARCHIVE_LIMIT', 'name-too-long', 'the file system refuses the name', entry, error);
    case 'EFBIG':
      return refusal(
        'ARCHIVE_LIMIT',
        'file-too-large',
        'the file system cannot hold a file of this size',
        entry,
        error,
      );
    case 'EILSEQ':
      return refusal('ARCHIVE_REFUSED', 'name-refused', 'the file system refuses the bytes of the name', entry, error);
    case 'EMLINK':
      return refusal('ARCHIVE_LIMIT', 'too-many-links', 'the file system refuses more links to a file', entry, error);
    case 'ENOSPC':
    case 'EDQUOT':
      return refusal('DISK_FULL', 'disk-full', 'the file system of the destination is full', entry, error);
    default:
      return refusal('FILE_SYSTEM_FAILED', 'file-system', `the file system failed (${error.message})`, entry, error);
  }
}
