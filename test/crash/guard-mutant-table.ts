/** Guards that no crash and no failing disk would show, each taken out in turn; `guard-checks.ts` has the check that must notice. */
import type { Change } from './bundle.ts';

export interface GuardMutant extends Change {
  readonly name: string;
  readonly by: 'link' | 'epoch';
  /** Of the check. */
  readonly check: string;
}

const link = (check: string, file: string, from: string, to: string): GuardMutant => ({
  name: `link: ${check} is followed (${from})`,
  by: 'link',
  check,
  file,
  from,
  to,
});
const epoch = (check: string, from: string): GuardMutant => ({
  name: `epoch: ${check} does not ask for it`,
  by: 'epoch',
  check,
  file: `db/queries/${check}.ts`,
  from,
  to: '',
});
const ARCHIVE = 'agent/archive';
const DIRECTORY = 'constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW';
const PLAIN_DIRECTORY = 'constants.O_RDONLY | constants.O_DIRECTORY';
const AND_EPOCH = ' and lease_epoch = ${' + 'holder.leaseEpoch}';

/**
 * Not here are those whose absence changes nothing: with `O_EXCL` no link is followed anyway, `.` is none, and files that are read for
 * a capture are known by their inode.
 */
export const GUARD_MUTANTS: readonly GuardMutant[] = [
  link('sync-directory', 'agent/fs/durable.ts', DIRECTORY, PLAIN_DIRECTORY),
  link('root-metadata', 'agent/fs/root-metadata.ts', DIRECTORY, PLAIN_DIRECTORY),
  link('remove-tree', 'agent/fs/remove-tree.ts', DIRECTORY, PLAIN_DIRECTORY),
  link(
    'empty-tree',
    `${ARCHIVE}/remove-tree.ts`,
    'fd = openSync(path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)',
    'fd = openSync(path, O.RDONLY | O.DIRECTORY)',
  ),
  link('holder', `${ARCHIVE}/holder.ts`, 'DIRECTORY | O.NOFOLLOW', 'DIRECTORY'),
  link('tree-root', `${ARCHIVE}/open-root.ts`, 'O.RDONLY | O.DIRECTORY | O.NOFOLLOW', 'O.RDONLY | O.DIRECTORY'),
  link(
    'copy',
    `${ARCHIVE}/copy-tree.ts`,
    'openSync(at, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)',
    'openSync(at, O.RDONLY | O.DIRECTORY)',
  ),
  link('copy-index', `${ARCHIVE}/copy-index.ts`, 'O.RDONLY | O.NOFOLLOW | O.NONBLOCK', 'O.RDONLY'),
  link('directory-below', `${ARCHIVE}/dir-fds.ts`, 'O.PATH | O.DIRECTORY | O.NOFOLLOW', 'O.PATH | O.DIRECTORY'),
  link('journal', 'agent/restore/journal.ts', 'constants.O_RDONLY | constants.O_NOFOLLOW', 'constants.O_RDONLY'),
  link('spool', 'agent/claim/spool.ts', 'constants.O_APPEND | constants.O_NOFOLLOW', 'constants.O_APPEND'),
  link('host-lock', 'agent/claim/host-lock.ts', 'constants.O_CREAT | constants.O_NOFOLLOW', 'constants.O_CREAT'),
  link('host-lock-holder', 'agent/claim/host-lock.ts', 'constants.O_RDWR | constants.O_NOFOLLOW', 'constants.O_RDWR'),
  link('manifest', 'agent/snapshots/read-manifest.ts', 'constants.O_NOFOLLOW | ', ''),
  link('archive-file', `${ARCHIVE}/frame-sink.ts`, 'O.WRONLY | O.NOFOLLOW', 'O.WRONLY'),
  link('destination', `${ARCHIVE}/extract.ts`, 'O.DIRECTORY | O.NOFOLLOW', 'O.DIRECTORY'),
  link('links-in-archive', `${ARCHIVE}/syscalls.ts`, 'uid, gid, AT_SYMLINK_NOFOLLOW', 'uid, gid, 0'),
  link(
    'links-in-archive',
    `${ARCHIVE}/syscalls.ts`,
    'fillTimes(seconds, nanoseconds), AT_SYMLINK_NOFOLLOW',
    'fillTimes(seconds, nanoseconds), 0',
  ),
  link('links-in-archive', `${ARCHIVE}/syscalls.ts`, 'AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH', 'AT_EMPTY_PATH'),
  epoch('start-intent', AND_EPOCH),
  epoch('update-progress', AND_EPOCH),
  epoch('append-events', AND_EPOCH),
  epoch('register-snapshot', AND_EPOCH),
  epoch('renew-lease', AND_EPOCH),
  epoch('mark-committed', 'lease_epoch <> ${' + 'holder.leaseEpoch} or '),
  epoch('mark-snapshot-deleted', ' and i.lease_epoch = ${' + 'holder.leaseEpoch}'),
  epoch('finish-intent', '          when lease_epoch <> ${' + "holder.leaseEpoch} then 'lost'\n"),
];
