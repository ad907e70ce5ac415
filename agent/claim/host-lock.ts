/**
 * One agent, or one recovery, per state directory.
 *
 * Guarantees: while the lock is held no other process holds it, and it ends with its process however that ends (flock(2)),
 * so that no stale lock has to be judged.
 * Does not guarantee: anything between two state directories; `hold-host` in the database does that.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { makeDirectoriesDurably, writeAll } from '../fs/durable.ts';
import { tryLockFile } from '../fs/native.ts';

export interface LockHolder {
  readonly pid: number;
  readonly instance: string;
  /** RFC 3339; when it took the lock. */
  readonly since?: string;
}

export interface HostLock {
  release(): void;
}

/**
 * Takes the lock of a state directory, which is created if it is missing.
 * @throws RefloatError `AGENT_RUNNING` naming the holder's process, `FILE_SYSTEM_FAILED` if the state directory cannot be used
 */
export function takeHostLock(stateDir: string, instance: string): HostLock {
  const path = join(stateDir, 'agent.lock');
  const fd = openLock(stateDir, path);
  if (!lockPatiently(fd, path)) {
    closeSync(fd);
    const holder = readHolder(path);
    const who =
      holder === null
        ? 'another process'
        : `process ${holder.pid}${holder.since === undefined ? '' : `, since ${holder.since},`}`;
    throw new RefloatError('AGENT_RUNNING', `${who} is working on ${stateDir}`, {
      hint: 'Stop that agent first (systemctl stop refloat-agent, or kill it by its id), or choose another REFLOAT_STATE_DIR.',
      details: { stateDir, ...holder },
    });
  }
  const holder: LockHolder = { pid: process.pid, instance, since: new Date().toISOString() };
  try {
    ftruncateSync(fd, 0);
    writeAll(fd, Buffer.from(`${JSON.stringify(holder)}\n`));
  } catch (error) {
    // The lock must not outlive the attempt to take it.
    closeSync(fd);
    throw error;
  }
  return { release: () => closeSync(fd) };
}

/** Who holds the lock of a state directory; null if nobody does. For `status`, which works while an agent runs. */
export function hostLockHolder(stateDir: string): LockHolder | null {
  const path = join(stateDir, 'agent.lock');
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return tryLockFile(fd, path) ? null : (readHolder(path) ?? { pid: 0, instance: '' });
  } finally {
    closeSync(fd);
  }
}

/** A `status` that looks at the lock holds it for an instant; that is no agent. */
function lockPatiently(fd: number, path: string): boolean {
  for (let tries = 0; tries < 5; tries++) {
    if (tryLockFile(fd, path)) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return false;
}

function openLock(stateDir: string, path: string): number {
  try {
    makeDirectoriesDurably(stateDir, 0o700);
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new RefloatError('FILE_SYSTEM_FAILED', `the state directory ${stateDir} cannot be used`, {
      hint: 'Run the agent as root, or let REFLOAT_STATE_DIR name a directory that it may write.',
      details: { stateDir },
      cause,
    });
  }
}

/** Null while the holder has not written itself down yet. */
function readHolder(path: string): LockHolder | null {
  try {
    const json = JSON.parse(readFileSync(path, 'utf8')) as LockHolder;
    return typeof json.pid === 'number' && typeof json.instance === 'string' ? json : null;
  } catch {
    return null;
  }
}
