/** Installs Docker's daemon by apt: root on Debian or Ubuntu only, asked first on a terminal, said so otherwise. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { confirm, isCancel } from '@clack/prompts';
import { RefloatError } from '../../db/errors.ts';

const COMMAND = 'apt-get install -y docker.io';

/** The path of a program, or null. A `docker` client may be there without any daemon; ask for `dockerd`. */
export function findProgram(name: string): string | null {
  const places = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/usr/local/sbin',
    '/usr/local/bin',
  ];
  return (
    places
      .filter((place) => place !== '')
      .map((place) => join(place, name))
      .find(isExecutable) ?? null
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param say told what is installed, where nobody can be asked
 * @throws RefloatError `ENGINE_UNAVAILABLE`: another system, the person said no, or apt failed
 */
export async function installDockerd(say: (line: string) => void): Promise<void> {
  if (!isDebianLike() || findProgram('apt-get') === null) {
    throw unavailable(
      'no Docker engine answers, and this is not Debian or Ubuntu',
      'Install Docker by https://docs.docker.com/engine/install/ and start it, or set DOCKER_HOST.',
    );
  }
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const yes = await confirm({
      message: `No Docker engine answers. Install the package docker.io (${COMMAND})?`,
      output: process.stderr,
    });
    if (isCancel(yes) || !yes)
      throw unavailable(
        'no Docker engine answers, and it was not to be installed',
        `Run "${COMMAND}", or set DOCKER_HOST.`,
      );
  } else {
    say(`no Docker engine answers: installing the package docker.io (${COMMAND})`);
  }
  // The package lists of a fresh machine may be old or missing; refreshing them takes longer than trying.
  if (await aptGet('install', '-y', '--no-install-recommends', 'docker.io')) return;
  await aptGet('update');
  if (await aptGet('install', '-y', '--no-install-recommends', 'docker.io')) return;
  throw unavailable(
    'the package docker.io could not be installed',
    `Run "apt-get update && ${COMMAND}" and look at what it says, or set DOCKER_HOST.`,
  );
}

async function aptGet(...args: string[]): Promise<boolean> {
  const all = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', ...args];
  // Its output is for people, and standard output may be read by a program.
  const child = spawn('apt-get', all, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

function isDebianLike(): boolean {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(release);
  } catch {
    return false;
  }
}

function unavailable(message: string, hint: string): RefloatError {
  return new RefloatError('ENGINE_UNAVAILABLE', message, { hint, disposition: 'refuse' });
}
