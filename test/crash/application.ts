/**
 * What the simulated application does to the top of a mount point when it starts on the new version: what a database does to its
 * directory. It adds a file, replaces one by its like, removes an entry, and uses a name that the old tree has and the new one has not.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Durably, so that a power cut later takes nothing of it back; and again at every start. */
const WRITE = `set -e; cd "$1"
  printf log > wal; cp -a sparse replaced; sync wal replaced; mv replaced sparse
  if [ -d empty-two ]; then rmdir empty-two; fi; printf mine > empty-one; sync empty-one; sync .`;

export function writeAsApplication(directory: string): void {
  execFileSync('bash', ['--norc', '-c', WRITE, 'bash', directory]);
}

/** Journals that come and go, and a file that is renamed into place, until the input ends; then nothing of that is left but the file. */
const GO_ON = `
  const { renameSync, rmSync, writeFileSync } = require('node:fs');
  process.chdir(process.argv[1]);
  let isOver = false;
  process.stdin.on('end', () => { isOver = true; }).resume();
  const round = () => {
    for (let n = 0; n < 200; n++) writeFileSync('journal-' + n, 'x');
    for (let n = 0; n < 200; n++) {
      rmSync('journal-' + n);
      writeFileSync('wal.new', 'log');
      renameSync('wal.new', 'wal');
    }
    if (!isOver) setImmediate(round);
  };
  round();
  process.stdout.write('begun');
`;

/** The same application as long as it runs. Returns when it has begun, with what ends it. */
export async function goOnAsApplication(directory: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, ['-e', GO_ON, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await closed;
  };
}

/** How the new version differs once the application has written; of the old one none of it is left. */
export const WRITTEN = /: (?:wal: not expected|empty-two: missing|empty-one: not expected|\.: mtime .*)$/;
