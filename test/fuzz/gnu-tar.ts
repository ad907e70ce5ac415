/** A second opinion: what GNU tar lists of an archive that our parser accepted. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Seen } from './targets.ts';

/** `refused` when GNU tar complains, `different` when it lists other names: then one of two readers would make another tree. */
export type Opinion = 'same' | 'refused' | 'different';

export function askGnuTar(input: Buffer, seen: readonly Seen[], folder: string): Opinion {
  const path = join(folder, 'accepted.tar');
  writeFileSync(path, input);
  const { status, stdout } = spawnSync('tar', ['-tf', path, '--quoting-style=escape'], {
    encoding: 'latin1',
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
  });
  if (status !== 0) return 'refused';
  const theirs = stdout.split('\n').slice(0, -1).map(canonical);
  return JSON.stringify(theirs) === JSON.stringify(seen.map(({ path: ours }) => ours)) ? 'same' : 'different';
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The path below the root, from a name as `--quoting-style=escape` prints it. */
function canonical(text: string): string {
  const name = text.replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code),
  );
  return name
    .split('/')
    .filter((part) => part !== '.' && part !== '')
    .join('/');
}

/** GNU tar lists volume labels and Solaris ACLs too, and leaves no link without a target out. */
export function hasMoreThanTar(input: Buffer): boolean {
  for (let at = 156; at < input.length; at += 512) {
    const type = String.fromCharCode(input[at] ?? 0);
    if ('AV'.includes(type) || (type === '1' && input[at + 1] === 0)) return true;
  }
  return false;
}
