/** The directory that a tree hangs from, opened once: everything else is reached through it. */
import { openSync } from 'node:fs';
import { refusal } from './refusal.ts';
import { O } from './syscalls.ts';

/** @throws RefloatError FILE_SYSTEM_FAILED */
export function openRoot(root: string): number {
  try {
    return openSync(root, O.RDONLY | O.DIRECTORY);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw refusal('FILE_SYSTEM_FAILED', 'root', `cannot open ${root} as a directory (${code})`, null, cause);
  }
}
