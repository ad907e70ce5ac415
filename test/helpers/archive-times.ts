/** The times in an archive as libarchive reads them: a second opinion that shares no code with the archive's own reader. Needs `bsdtar`. */
import { spawnSync } from 'node:child_process';

/** Modification times in nanoseconds by path, latin1 bytes; null if libarchive does not read the archive. Writes nothing. */
export function timesByLibarchive(archive: string): ReadonlyMap<string, bigint> | null {
  const { status, stdout } = spawnSync(
    'bsdtar',
    ['-cf', '-', '--format=mtree', '--options=mtree:!all,mtree:time,mtree:type', `@${archive}`],
    { encoding: 'latin1', maxBuffer: 64 * 1024 * 1024 },
  );
  if (status !== 0) return null;
  const times = new Map<string, bigint>();
  for (const line of stdout.split('\n')) {
    // The fraction is a number of nanoseconds, without leading zeros.
    const match = /^\.?\/?(\S*) time=(-?\d+)\.(\d+)/.exec(line);
    if (match !== null) times.set(path(match[1] ?? ''), BigInt(match[2] ?? 0) * 1_000_000_000n + BigInt(match[3] ?? 0));
  }
  return times;
}

/** mtree(5) writes bytes that are not plain as `\ooo`. */
const path = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
