/** Changes inside a directory that belongs to the user, which must not be seen on the directory itself. */
import { syncDirectory } from './durable.ts';
import { readRootMetadata, writeRootMetadata } from './root-metadata.ts';

/** Does something inside a directory that must not show in its time. */
export async function keepingMetadata<T>(directory: string, work: () => T | Promise<T>): Promise<T> {
  const before = readRootMetadata(directory);
  try {
    return await work();
  } finally {
    writeRootMetadata(directory, before);
    syncDirectory(directory);
  }
}
