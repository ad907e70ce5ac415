/** The data sets of the archive benchmark: S small files, L large ones, M a piece of a system. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type SetName = 'S' | 'M' | 'L';

const MIB = 1024 * 1024;

export function makeDataSet(name: SetName, root: string): void {
  mkdirSync(root);
  if (name === 'S') makeSmall(root);
  else if (name === 'L') makeLarge(root);
  else makeSystem(root);
  execFileSync('sync');
}

/** Half of the bytes are random, half repeat: what databases and caches look like to a compressor. */
function halfCompressible(bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  const words = 'the quick brown fox jumps over the lazy dog 0123456789\n';
  for (let at = 0; at < bytes; at += 512) {
    const length = Math.min(512, bytes - at);
    if ((at / 512) % 2 === 0) randomBytes(length).copy(data, at);
    else data.write(words.repeat(10), at, length, 'latin1');
  }
  return data;
}

function makeSmall(root: string): void {
  for (let directory = 0; directory < 500; directory += 1) {
    const path = join(root, `d${directory}`);
    mkdirSync(path);
    for (let file = 0; file < 100; file += 1)
      writeFileSync(join(path, `f${file}`), halfCompressible(1024 + (((directory * 100 + file) * 7919) % 7169)));
  }
}

function makeLarge(root: string): void {
  const piece = halfCompressible(16 * MIB);
  for (let file = 0; file < 4; file += 1) {
    const fd = openSync(join(root, `large${file}`), 'w');
    for (let index = 0; index < 32; index += 1) {
      randomBytes(4096).copy(piece, index * 8192);
      writeSync(fd, piece);
    }
    closeSync(fd);
  }
}

/** About 1 GiB of a system: every n-th of its files and symlinks, so that large and small ones keep their shares. */
function makeSystem(root: string): void {
  const script =
    'cd /; mib=$(du -smxc usr/lib usr/share usr/bin | tail -n 1 | cut -f 1); find usr/lib usr/share usr/bin -xdev \\( -type f -o -type l \\) | LC_ALL=C sort | awk -v n=$((mib / 1024 + 1)) "NR % n == 0" | tar -c -T - --no-recursion -f - 2>/dev/null | tar -x -C "$1"';
  execFileSync('bash', ['--norc', '-c', script, 'bash', root], { stdio: ['ignore', 'ignore', 'ignore'] });
}
