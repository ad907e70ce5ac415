/**
 * What the simulated application does to the top of a mount point when it starts on the new version: what a database does to its
 * directory. It adds a file, replaces one by its like, removes an entry, and uses a name that the old tree has and the new one has not.
 */
import { execFileSync } from 'node:child_process';

/** Durably, so that a power cut later takes nothing of it back; and again at every start. */
const WRITE = `set -e; cd "$1"
  printf log > wal; cp -a sparse replaced; sync wal replaced; mv replaced sparse
  if [ -d empty-two ]; then rmdir empty-two; fi; printf mine > empty-one; sync empty-one; sync .`;

export function writeAsApplication(directory: string): void {
  execFileSync('bash', ['--norc', '-c', WRITE, 'bash', directory]);
}

/** How the new version differs once the application has written; of the old one none of it is left. */
export const WRITTEN = /: (?:wal: not expected|empty-two: missing|empty-one: not expected|\.: mtime .*)$/;
