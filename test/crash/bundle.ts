/**
 * Bundles the driver into one file that starts quickly, with named changes of its text: the waiting between two tries is cut
 * short in all of them, and a mutant takes out one guard.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { guardPostgres } from '../../esbuild.postgres.mjs';

const ROOT = join(import.meta.dirname, '../..');

/** A piece of the product's text that is there exactly once, and what stands in its place. */
export interface Change {
  /** From the root of the repository. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A lasting fault is met with nine more tries over a minute; in a sweep there is nothing to wait for. */
const SHORT_PAUSES: Change = {
  file: 'agent/with-retries.ts',
  from: '[100, 300, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]',
  to: '[1, 1, 2, 2, 5, 5, 10, 10, 20]',
};

/** The archive child begins from a file of its own, which is read in a third of the time. */
const SMALL_CHILD: Change = {
  file: 'agent/archive/archiver.ts',
  from: "new URL('./child-main.ts', import.meta.url)",
  to: "new URL('./child.mjs', import.meta.url)",
};

export interface BundleOptions {
  /** Default the driver program. */
  readonly entry?: string;
  readonly changes?: readonly Change[];
  /** The waiting between two tries is left as it is; the archive child begins quickly all the same. */
  readonly ownPauses?: boolean;
  /** With the changes that are given and no others. */
  readonly isPlain?: boolean;
  /** Modules that are put in the place of others: `node:fs`, or a file of the agent, by a file of the harness. */
  readonly instead?: Readonly<Record<string, string>>;
}

/** The same, made once for all slots and sweeps of a run, in the directory that they share. */
export async function sharedBundle(programs: string, options: BundleOptions = {}): Promise<string> {
  const directory = join(programs, createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16));
  if (!existsSync(directory)) {
    mkdirSync(programs, { recursive: true });
    const made = mkdtempSync(join(programs, '.'));
    await bundle(made, options);
    try {
      renameSync(made, directory);
    } catch {
      // Another slot was quicker.
      rmSync(made, { recursive: true });
    }
  }
  return join(directory, 'program.mjs');
}

/**
 * @returns the path of the program in `directory`
 * @throws Error when a text to change is not there exactly once
 */
export async function bundle(directory: string, options: BundleOptions = {}): Promise<string> {
  const { entry = 'test/crash/driver.ts', isPlain = false } = options;
  const own = options.ownPauses === true;
  const changes = [
    ...(own || isPlain ? [] : [SHORT_PAUSES]),
    ...((own || options.entry === undefined) && !isPlain ? [SMALL_CHILD] : []),
    ...(options.changes ?? []),
  ];
  await build({
    entryPoints: {
      program: join(ROOT, entry),
      child: join(ROOT, 'test/crash/archive-child.ts'),
    },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'warning',
    external: ['cpu-features', '*.node'],
    nodePaths: [join(ROOT, 'node_modules')],
    define: {
      READER_THREAD: JSON.stringify(await thread('agent/archive/reader-thread.ts')),
      WRITER_THREAD: JSON.stringify(await thread('agent/archive/writer-thread.ts')),
    },
    plugins: [changing(changes), unused(), insteadOf(options.instead ?? {}), koffiByPath(), guardPostgres()],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';\nimport { fileURLToPath as __fileURLToPath } from 'node:url';\nimport { dirname as __pathDirname } from 'node:path';\nconst require = __createRequire(import.meta.url);\nconst __filename = __fileURLToPath(import.meta.url);\nconst __dirname = __pathDirname(__filename);",
    },
  });
  return join(directory, 'program.mjs');
}

/** A program of the child's threads, which the child holds as a string. */
async function thread(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    write: false,
    plugins: [koffiByPath()],
  });
  return outputFiles[0]?.text ?? '';
}

function changing(changes: readonly Change[]): Plugin {
  return {
    name: 'changes',
    setup(builder) {
      const done = new Set<Change>();
      builder.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const mine = changes.filter(({ file }) => file === relative(ROOT, path));
        if (mine.length === 0) return undefined;
        let contents = readFileSync(path, 'utf8');
        for (const change of mine) {
          const parts = contents.split(change.from);
          if (parts.length !== 2)
            throw new Error(`${change.file} has ${JSON.stringify(change.from)} ${parts.length - 1} times, not once`);
          contents = parts.join(change.to);
          done.add(change);
        }
        return { contents, loader: 'ts' };
      });
      builder.onEnd(() => {
        const missed = changes.find((change) => !done.has(change));
        if (missed !== undefined) throw new Error(`${missed.file} is not in the bundle`);
      });
    },
  };
}

function insteadOf(modules: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'instead',
    setup(builder) {
      for (const [name, file] of Object.entries(modules)) {
        const path = join(ROOT, file);
        // Not in the harness itself: what stands in for a module uses the real one.
        const isFile = name.endsWith('.ts');
        builder.onResolve({ filter: isFile ? /^\.+\// : new RegExp(`^${name}$`) }, ({ importer, path: asked }) => {
          if (!importer.startsWith(join(ROOT, 'agent/'))) return undefined;
          return isFile && join(dirname(importer), asked) !== join(ROOT, name) ? undefined : { path };
        });
      }
    },
  };
}

/** Parts of dockerode that a unix socket needs none of, and that take half of the start: image builds over gRPC, and SSH. */
function unused(): Plugin {
  return {
    name: 'unused',
    setup(builder) {
      builder.onResolve({ filter: /^(@grpc\/grpc-js|@grpc\/proto-loader|ssh2)$/ }, ({ path }) => ({
        path,
        namespace: 'unused',
      }));
      builder.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
    },
  };
}

/** The bundle lies outside the repository, where no bare name is found. */
function koffiByPath(): Plugin {
  return {
    name: 'koffi',
    setup(builder) {
      builder.onResolve({ filter: /^koffi$/ }, () => ({
        path: join(ROOT, 'node_modules/koffi/index.js'),
        external: true,
      }));
    },
  };
}
