/** The directory that a tree hangs from, opened once: everything else is reached through it. */
import { openSync } from 'node:fs';
import { throughHolder } from './holder.ts';
import { refusal } from './refusal.ts';
import { O } from './syscalls.ts';

/** A path that is itself a symbolic link is followed, but in a private directory. @throws RefloatError FILE_SYSTEM_FAILED */
export function openRoot(root: string): number {
  try {
    return throughHolder(root, (at) =>
      openSync(at, at === root ? O.RDONLY | O.DIRECTORY : O.RDONLY | O.DIRECTORY | O.NOFOLLOW),
    );
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw refusal('FILE_SYSTEM_FAILED', 'root', `cannot open ${root} as a directory (${code})`, null, cause);
  }
}
