/**
 * Reads an archive once, from disk to tree (extract) or to nothing (verify), in the child process.
 *
 * Guarantees: extract and verify run the same reader and the same rules; when extract returns, the tree is complete and durable;
 * when it throws, the destination is empty.
 * The destination is a directory that the agent made; the agent removes it, since the wall holds it in place here.
 */
import { closeSync, openSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RefloatError } from '../../db/errors.ts';
import { syncDescriptor } from '../fs/durable.ts';
import { ByteQueue } from './byte-queue.ts';
import { DEFAULT_MAX_RATIO, type DecodedFile, openArchive } from './decode.ts';
import { EarlySync } from './early-sync.ts';
import { differentCount, EntryRules } from './entry-rules.ts';
import type { Metadata } from './file-writer.ts';
import { below, openHolder } from './holder.ts';
import type { Member } from './member.ts';
import { type SummedEntry, SumsOfMetadata } from './metadata-sums.ts';
import { refusal } from './refusal.ts';
import { emptyTree } from './remove-tree.ts';
import { Skips } from './skips.ts';
import { O, SystemCallError } from './syscalls.ts';
import { TarReader } from './tar-reader.ts';
import { TreeWriter } from './tree-writer.ts';
import type { ArchiveSummary, Expected, ReadOptions } from './types.ts';

export type Progress = (bytesDone: number, entriesDone: number) => void;

/** @throws RefloatError ARCHIVE_*, DISK_FULL, FILE_SYSTEM_FAILED */
export async function extractArchive(
  request: ReadOptions & { readonly destination: string },
  onProgress: Progress,
): Promise<ArchiveSummary> {
  const file = await openChecked(request);
  try {
    const holder = openHolder(request.destination);
    const destination = below(holder, request.destination);
    try {
      const previous = process.umask(0);
      const root = openSync(destination, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      const skips = new Skips();
      const sync = new EarlySync(root);
      const writer = new TreeWriter(root, (path, reason, detail) => skips.add(path, reason, detail));
      try {
        const free = freeBytes(destination);
        const summary = await readAll({ file, request, skips, writer, free, onProgress, sync });
        await syncDisk(sync);
        syncDescriptor(holder, dirname(request.destination));
        return summary;
      } finally {
        await writer.close();
        await sync.settle();
        closeSync(root);
        process.umask(previous);
      }
    } catch (error) {
      emptyTree(destination);
      throw error;
    } finally {
      closeSync(holder);
    }
  } finally {
    await file.close();
  }
}

/** Writes nothing. Same errors, apart from those of the destination. */
export async function verifyArchive(request: ReadOptions, onProgress: Progress): Promise<ArchiveSummary> {
  const file = await openChecked(request);
  try {
    const free = Number.POSITIVE_INFINITY;
    return await readAll({ file, request, skips: new Skips(), writer: null, free, onProgress, sync: null });
  } finally {
    await file.close();
  }
}

async function openChecked(request: ReadOptions): Promise<DecodedFile> {
  const file = openArchive(request.archive, request.limits?.maxRatio ?? DEFAULT_MAX_RATIO);
  const promised = request.expected?.archiveBytes;
  if (promised !== undefined && promised !== file.archiveBytes) {
    await file.close();
    throw refusal('ARCHIVE_CHANGED', 'size', `the archive has ${file.archiveBytes} bytes, ${promised} were promised`);
  }
  return file;
}

async function syncDisk(sync: EarlySync): Promise<void> {
  try {
    await sync.finish();
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw refusal('FILE_SYSTEM_FAILED', 'sync', `the file system could not be synced (${cause.code})`, null, cause);
  }
}

function freeBytes(path: string): number {
  const stat = statfsSync(path);
  return stat.bavail * stat.bsize;
}

async function readAll(
  from: Omit<Reading, 'reader' | 'rules' | 'metadata'> & { file: DecodedFile },
): Promise<ArchiveSummary> {
  const { file, request, skips, writer } = from;
  const rules = new EntryRules(request);
  const metadata = new SumsOfMetadata();
  const { expected } = request;
  try {
    const reader = new TarReader(new ByteQueue(file.bytes));
    await readMembers({ ...from, reader, rules, metadata });
  } catch (error) {
    throw digestDiffers(file, expected) ?? error;
  }
  const changed = digestDiffers(file, expected);
  if (changed !== null) throw changed;
  const difference = expected?.counts === undefined ? null : differentCount(expected.counts, rules.counts);
  if (difference !== null) throw refusal('ARCHIVE_TRUNCATED', 'counts', `the archive is not complete (${difference})`);
  await writer?.complete();
  return {
    ...rules.counts,
    ...rules.longestPath(),
    hasRoot: rules.hasRoot,
    sha256: file.digest(),
    archiveBytes: file.archiveBytes,
    ...(writer === null || !rules.describesAll ? {} : { sums: metadata.sums }),
    skipped: skips.list(),
  };
}

/** A damaged archive whose digest is wrong is first of all a changed one. */
function digestDiffers(file: DecodedFile, expected: Expected | undefined): RefloatError | null {
  if (expected?.sha256 === undefined || expected.sha256 === file.digest()) return null;
  return refusal('ARCHIVE_CHANGED', 'digest', 'the SHA-256 of the archive is not the one that was promised');
}

interface Reading {
  readonly reader: TarReader;
  readonly rules: EntryRules;
  readonly request: ReadOptions;
  readonly skips: Skips;
  readonly writer: TreeWriter | null;
  readonly free: number;
  readonly onProgress: Progress;
  readonly sync: EarlySync | null;
  readonly metadata: SumsOfMetadata;
}

async function readMembers({
  reader,
  rules,
  request,
  skips,
  writer,
  free,
  onProgress,
  sync,
  metadata,
}: Reading): Promise<void> {
  let stored = 0;
  let done = 0;
  let reported = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    sync?.wrote(bytes);
    if (done - reported < 8_388_608) return;
    reported = done;
    onProgress(done, rules.counts.entries);
  };
  for (let original = await reader.next(); original !== null; original = await reader.next()) {
    const member = request.policy === 'strict' ? withoutPrivileges(original, skips) : original;
    const decision = rules.admit(member);
    for (const directory of decision.implied) writer?.implied(directory);
    if (!decision.take) {
      skips.add(member.name, decision.reason);
      continue;
    }
    for (const reason of member.ignored) skips.add(member.name, reason);
    stored += member.dataBytes;
    if (stored > free)
      throw refusal(
        'ARCHIVE_LIMIT',
        'free-space',
        `the archive holds more bytes than the ${free} that are free`,
        member.name,
      );
    const { path, target } = decision;
    if (writer === null) {
      onBytes(member.dataBytes);
      continue;
    }
    const meta = metadataOf(member);
    if (member.type !== 'hardlink') metadata.add(path, summed(member));
    if (member.type === 'directory') writer.directory(path, meta, decision.existed);
    else if (target !== '') writer.otherName(path, target, member.type === 'symlink');
    else if (member.type === 'symlink') writer.symlink(path, member.linkName, meta);
    else {
      // Nothing to wait for as long as the threads keep up: a promise per small file would cost more than the file.
      const full = writer.file(path, meta, member, reader, onBytes);
      if (full !== null) await full;
    }
  }
  onProgress(done, rules.counts.entries);
}

function summed({ type, mode, uid, gid, mtime, linkName }: Member): SummedEntry {
  const isLink = type === 'symlink';
  return { uid, gid, mode: isLink ? null : mode, ...mtime, linkTarget: isLink ? linkName : null };
}

function metadataOf(member: Member): Metadata {
  return {
    mode: member.mode,
    uid: member.uid,
    gid: member.gid,
    seconds: member.mtime.seconds,
    nanoseconds: member.mtime.nanoseconds,
    xattrs: member.xattrs.map(({ name, value }) => [name.toString('latin1'), value.toString('latin1')] as const),
  };
}

/** `strict` drops what gives power beyond the data: set-id bits and attributes that only root may set. */
function withoutPrivileges(member: Member, skips: Skips): Member {
  const special = member.type === 'directory' ? 0 : member.mode & 0o6000;
  const kept = member.xattrs.filter(({ name }) => /^(user\.|system\.posix_acl_)/.test(name.toString('latin1')));
  if (special === 0 && kept.length === member.xattrs.length) return member;
  if (special !== 0) skips.add(member.name, 'set-id-dropped');
  if (kept.length < member.xattrs.length) skips.add(member.name, 'xattr-dropped');
  return { ...member, mode: member.mode & ~special, xattrs: kept };
}
