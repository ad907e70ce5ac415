/**
 * The archiver as it ships: bundled from the source as it is now, with its child process embedded. From source every start would
 * also strip the types from forty files.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import type * as archiver from '../../agent/archive/archiver.ts';

interface ChildBuild {
  readonly COMMON: BuildOptions;
  embedArchiveChild(): Promise<Record<string, string>>;
}

const ROOT = join(import.meta.dirname, '../..');
const { COMMON, embedArchiveChild } = (await import(pathToFileURL(join(ROOT, 'esbuild.child.mjs')).href)) as ChildBuild;

/** The caller's own class of errors, so that `instanceof` holds. */
const sharedErrors: Plugin = {
  name: 'shared errors',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/db\/errors\.ts$/ }, () => ({
      path: pathToFileURL(join(ROOT, 'db/errors.ts')).href,
      external: true,
    })),
};

// Below the repository, where native packages are found.
mkdirSync(join(ROOT, 'dist'), { recursive: true });
const folder = mkdtempSync(join(ROOT, 'dist/archiver-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** The archiver with another program in its child's place. */
export async function archiverWithChild(program: string): Promise<ReturnType<typeof archiver.createArchiver>> {
  const { createArchiver } = await bundled({ ARCHIVE_CHILD: JSON.stringify(program) });
  return createArchiver();
}

let number = 0;

async function bundled(define: Record<string, string>): Promise<typeof archiver> {
  const outfile = join(folder, `archiver-${++number}.mjs`);
  await build({
    ...COMMON,
    absWorkingDir: ROOT,
    entryPoints: ['agent/archive/archiver.ts'],
    outfile,
    define,
    plugins: [sharedErrors],
  });
  return (await import(pathToFileURL(outfile).href)) as typeof archiver;
}

export const { createArchiver } = await bundled(await embedArchiveChild());
