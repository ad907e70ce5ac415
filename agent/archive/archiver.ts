/**
 * The archive as the agent sees it: a few verbs, each in a child process of its own.
 *
 * Guarantees: the agent's event loop stays free; an aborted or crashed child leaves no destination and no archive; the child gets
 * neither the agent's environment nor its descriptors.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { RefloatError } from '../../db/errors.ts';
import type { TreeDifference } from '../../db/results.ts';
import { throughHolder } from './holder.ts';
import { CHILD_COMMAND, type ChildMessage, type ChildRequest, REQUEST_FD } from './protocol.ts';
import { refusal } from './refusal.ts';
import { removeTree } from './remove-tree.ts';
import type {
  Archiver,
  ArchiveSummary,
  CompareRequest,
  CopyOptions,
  CopySummary,
  ExtractOptions,
  Measured,
  PackOptions,
  VerifyOptions,
} from './types.ts';

interface Watch {
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytesDone: number, entriesDone: number) => void;
}

export interface ArchiverOptions {
  /** Second wall around extraction and verification; off only to test the first one alone. */
  readonly wall?: boolean;
}

export function createArchiver({ wall = true }: ArchiverOptions = {}): Archiver {
  return {
    pack,
    extract: async (options: ExtractOptions) => await extract(options, wall),
    verify: async (options: VerifyOptions) => {
      const { signal, onProgress, ...rest } = options;
      return (await runChild(
        { verb: 'verify', wall, ...rest, archive: resolve(options.archive) },
        watch(signal, onProgress),
      )) as ArchiveSummary;
    },
    copy: async ({ signal, onProgress, ...rest }: CopyOptions) =>
      (await runChild({ verb: 'copy', ...rest }, watch(signal, onProgress))) as CopySummary,
    compare: async (request: CompareRequest, signal?: AbortSignal) =>
      (await runChild(
        { verb: 'compare', wall, ...request, archive: resolve(request.archive) },
        watch(signal, undefined),
      )) as TreeDifference,
    measure: async (root: string) => (await runChild({ verb: 'measure', root: resolve(root) }, {})) as Measured,
  };
}

async function pack(options: PackOptions): Promise<ArchiveSummary> {
  const archive = resolve(options.archive);
  created(archive, () => closeSync(openSync(archive, 'wx', 0o600)));
  try {
    return (await runChild(
      { verb: 'pack', root: resolve(options.root), archive },
      watch(options.signal, options.onProgress),
    )) as ArchiveSummary;
  } catch (error) {
    rmSync(archive, { force: true });
    throw error;
  }
}

async function extract(options: ExtractOptions, wall: boolean): Promise<ArchiveSummary> {
  const { signal, onProgress, ...rest } = options;
  const destination = resolve(options.destination);
  created(destination, () => throughHolder(destination, (at) => mkdirSync(at, { mode: 0o700 })));
  try {
    return (await runChild(
      { verb: 'extract', wall, ...rest, archive: resolve(options.archive), destination },
      watch(signal, onProgress),
    )) as ArchiveSummary;
  } catch (error) {
    removeTree(destination);
    throw error;
  }
}

/** Made here and not by the child, so that what is removed after a crash is certainly our own. */
function created(path: string, make: () => void): void {
  try {
    make();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (code === 'EEXIST')
      throw refusal('DESTINATION_EXISTS', 'destination-exists', `${path} exists already`, null, cause);
    throw refusal('FILE_SYSTEM_FAILED', 'destination', `cannot create ${path} (${code})`, null, cause);
  }
}

const watch = (signal: AbortSignal | undefined, onProgress: Watch['onProgress']): Watch => ({
  ...(signal === undefined ? {} : { signal }),
  ...(onProgress === undefined ? {} : { onProgress }),
});

/** Source of the child's program, which the build puts here; undefined when running from source. */
declare const ARCHIVE_CHILD: string | undefined;
const EMBEDDED = typeof ARCHIVE_CHILD === 'string' ? ARCHIVE_CHILD : null;

/**
 * From source the child has a file of its own. Bundled, it is read from standard input: loading the whole agent instead took 0.15 s
 * more, for the child and for each of its threads. Native packages are found from the working directory then.
 */
const PROGRAM =
  EMBEDDED === null ? [fileURLToPath(new URL('./child-main.ts', import.meta.url))] : ['--input-type=module', '-'];
const DIRECTORY = dirname(fileURLToPath(import.meta.url));

/** The heap's bound; buffers come on top. A directory of a million names fits. */
const HEAP_MIB = 160;

/** A capture's own code is so small a part of its time that V8's last compiler, at work in every thread, costs more than it gains. */
const compilers = ({ verb }: ChildRequest): readonly string[] => (verb === 'pack' ? ['--no-turbofan'] : []);

async function runChild(
  request: ChildRequest,
  { signal, onProgress }: Watch,
): Promise<ArchiveSummary | CopySummary | TreeDifference | Measured> {
  signal?.throwIfAborted();
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MIB}`, '--max-semi-space-size=8', ...compilers(request), ...PROGRAM, CHILD_COMMAND],
    {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      cwd: DIRECTORY,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8', MALLOC_ARENA_MAX: '2' },
    },
  );
  let answer: Exclude<ChildMessage, { progress: unknown }> | null = null;
  let errors = '';
  let held = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (held + chunk).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as ChildMessage;
      if ('progress' in message) onProgress?.(...message.progress);
      else answer = message;
    }
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-4000);
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  // A child that ended early is seen by its end, not by what it did not read.
  const requests = child.stdio[REQUEST_FD] as Writable;
  for (const input of [child.stdin, requests]) input.on('error', () => undefined);
  child.stdin.end(EMBEDDED ?? '');
  requests.write(`${JSON.stringify(request)}\n`);
  const end = await new Promise<string>((done, failed) => {
    child.on('error', failed);
    child.on('close', (code, by) => done(by ?? `exit code ${code}`));
  }).finally(() => signal?.removeEventListener('abort', kill));
  const result = answer as Exclude<ChildMessage, { progress: unknown }> | null;
  if (result !== null && 'ok' in result) return result.ok;
  if (result !== null) throw RefloatError.fromJSON(result.error);
  if (signal?.aborted === true) throw aborted(signal);
  throw new RefloatError('INTERNAL', `the archive process ended without an answer (${end})`, {
    hint: 'Look at the kernel log for a lack of memory. Nothing was written.',
    disposition: 'fail',
    details: { stderr: errors.slice(-1000) },
  });
}

function aborted(signal: AbortSignal): RefloatError {
  if (signal.reason instanceof RefloatError) return signal.reason;
  return new RefloatError('INTERRUPTED', 'the archive was interrupted', {
    hint: 'Nothing was written. Start it again.',
    disposition: 'fail',
    cause: signal.reason,
  });
}
