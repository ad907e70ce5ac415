/** Debian packages that some tests need beside Node: installed when they are missing and we may. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { RefloatError } from '../../db/errors.ts';

const TOOLS: Readonly<Record<string, string>> = {
  '/usr/bin/strace': 'strace',
  '/usr/bin/zstd': 'zstd',
  '/usr/bin/bsdtar': 'libarchive-tools',
  '/usr/bin/setfattr': 'attr',
  '/usr/bin/setfacl': 'acl',
  '/usr/bin/chromium': 'chromium',
  '/sbin/mkfs.xfs': 'xfsprogs',
  '/sbin/mkfs.btrfs': 'btrfs-progs',
};

/** @throws RefloatError `CONFIG_INVALID` naming the command that installs what is missing */
export function ensureTestTools(): void {
  const missing = Object.entries(TOOLS)
    .filter(([path]) => !existsSync(path))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (canInstall) {
    process.stderr.write(`Installing what the tests need: ${command}\n`);
    execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const { status } = spawnSync('sh', ['-c', command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status === 0) return;
  }
  throw new RefloatError('CONFIG_INVALID', `the tests need ${missing.join(', ')}`, { hint: `As root: ${command}` });
}
