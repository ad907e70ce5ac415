/** Changes inside a directory that belongs to the user, which must not show in its time. */
import { syncDirectory } from './durable.ts';
import { readRootMetadata, writeRootTime } from './root-metadata.ts';

/** Owner, mode and attributes may be changed meanwhile by whoever the directory belongs to. */
export async function keepingTime<T>(directory: string, work: () => T | Promise<T>): Promise<T> {
  const before = readRootMetadata(directory);
  try {
    return await work();
  } finally {
    writeRootTime(directory, before);
    syncDirectory(directory);
  }
}
