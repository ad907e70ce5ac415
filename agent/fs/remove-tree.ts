/**
 * Removes a directory tree that untrusted data made.
 *
 * Guarantees: follows no symbolic link, in it or in a private directory above it, leaves the tree's own file system alone beyond it (a mount inside makes it throw),
 * copes with names of any bytes and with paths longer than PATH_MAX; lets other work run every few thousand entries.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { RefloatError } from '../../db/errors.ts';
import { below, openHolder, throughHolder } from '../archive/holder.ts';
import { identify, syncDescriptor, syncIfThere } from './durable.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const ENTRIES_BETWEEN_YIELDS = 2000;

/** Removes `path` with everything below it and makes that durable; fine if it is gone. */
export async function removeTree(path: string): Promise<void> {
  if (identify(path) === null) {
    syncIfThere(dirname(path));
    return;
  }
  const holder = openHolder(path);
  try {
    const at = below(holder, path);
    await emptyAndClose(openSync(at, DIRECTORY));
    rmdirSync(at);
    syncDescriptor(holder, dirname(path));
  } finally {
    closeSync(holder);
  }
}

/** Removes everything below `path`, for good once that itself is removed; fine if it is gone. */
export async function emptyTree(path: string): Promise<void> {
  if (identify(path) === null) return;
  await emptyAndClose(throughHolder(path, (at) => openSync(at, DIRECTORY)));
}

async function emptyAndClose(fd: number): Promise<void> {
  try {
    await empty(fd, fstatSync(fd).dev, { removed: 0 });
  } finally {
    closeSync(fd);
  }
}

async function empty(directory: number, device: number, count: { removed: number }): Promise<void> {
  const base = Buffer.from(`/proc/self/fd/${directory}/`);
  for (const entry of readdirSync(base, { encoding: 'buffer', withFileTypes: true })) {
    const path = Buffer.concat([base, entry.name]);
    if (!entry.isDirectory()) {
      unlinkSync(path);
    } else {
      const child = openSync(path, DIRECTORY);
      try {
        if (fstatSync(child).dev !== device) {
          throw new RefloatError(
            'FILE_SYSTEM_FAILED',
            'another file system is mounted inside a tree that is to be removed',
            {
              hint: 'Unmount it, then run "refloat-agent recover".',
              disposition: 'fail',
            },
          );
        }
        await empty(child, device, count);
      } finally {
        closeSync(child);
      }
      rmdirSync(path);
    }
    count.removed += 1;
    if (count.removed % ENTRIES_BETWEEN_YIELDS === 0) await yieldToOthers();
  }
}
