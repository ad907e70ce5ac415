/** The archiver as it ships: bundled, with its child process embedded. From source every start would also strip types from forty files. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import type { Archiver } from '../../agent/archive/types.ts';

interface ChildBuild {
  readonly COMMON: BuildOptions;
  embedArchiveChild(): Promise<Record<string, string>>;
}

export async function shippedArchiver(): Promise<Archiver> {
  const root = join(import.meta.dirname, '../..');
  const { COMMON, embedArchiveChild } = (await import(
    pathToFileURL(join(root, 'esbuild.child.mjs')).href
  )) as ChildBuild;
  // Below the repository, where native packages are found.
  const folder = mkdtempSync(join(root, 'dist/bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, 'archiver.mjs');
  await build({
    ...COMMON,
    entryPoints: ['agent/archive/archiver.ts'],
    outfile,
    define: await embedArchiveChild(),
  });
  const { createArchiver } = (await import(pathToFileURL(outfile).href)) as { createArchiver(): Archiver };
  return createArchiver();
}
