/**
 * The directory that holds what a path names, for the agent's private directories: one inside a volume that is a mount point lies where
 * the application can put something else in its place, also a symbolic link.
 *
 * Guarantees: from a private directory on no component before the last is followed if it is a symbolic link, whatever somebody does to
 * it meanwhile. What is done through it happens inside the volume, or fails with ENOTDIR or ELOOP.
 * Does not guarantee: that it is the directory that the agent made. Whoever owns the root of a volume can take it away, and harms that
 * volume alone.
 */
import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { O } from './syscalls.ts';

/** `.refloat-<intent>`, of captures and of restores. */
const PRIVATE = /^\.refloat-[0-9a-f-]{36}$/;
const DIRECTORY = O.RDONLY | O.DIRECTORY;

/** Descriptor of the directory in which the last name of a path lies. Throws Node errors. */
export function openHolder(path: string): number {
  const names = dirname(path).split('/');
  const start = privateAbove(names);
  if (start < 0) return openSync(dirname(path), DIRECTORY);
  let fd = openSync(names.slice(0, start).join('/') || '/', DIRECTORY);
  for (const name of names.slice(start)) {
    const above = fd;
    try {
      fd = openSync(`/proc/self/fd/${above}/${name}`, DIRECTORY | O.NOFOLLOW);
    } finally {
      closeSync(above);
    }
  }
  return fd;
}

/** Does something with a path that leads through the descriptor of its holder, where a private directory is above it; else with the path. */
export function throughHolder<T>(path: string, work: (at: string) => T): T {
  if (privateAbove(dirname(path).split('/')) < 0) return work(path);
  const fd = openHolder(path);
  try {
    return work(below(fd, path));
  } finally {
    closeSync(fd);
  }
}

/** The last name of a path below a descriptor. The dot makes its `dirname` a directory, and no link. */
export const below = (fd: number, path: string): string => `/proc/self/fd/${fd}/./${basename(path)}`;

const privateAbove = (names: readonly string[]): number => names.findIndex((name) => PRIVATE.test(name));
