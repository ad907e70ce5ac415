/**
 * The archive as the agent sees it: a few verbs, each in a child process of its own.
 *
 * Guarantees: the agent's event loop stays free; an aborted or crashed child leaves no destination and no archive; the child gets
 * neither the agent's environment nor its descriptors. Whatever a child says, and where none can be started, one request fails.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import { COPY_SUMMARY, DIFFERENCE, MEASURED, SUMMARY } from './answer-shapes.ts';
import { ChildMessages } from './child-messages.ts';
import { throughHolder } from './holder.ts';
import { CHILD_COMMAND, type ChildRequest, REQUEST_FD } from './protocol.ts';
import { refusal } from './refusal.ts';
import { removeTree } from './remove-tree.ts';
import type {
  Archiver,
  ArchiveSummary,
  CompareRequest,
  CopyOptions,
  ExtractOptions,
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
      const request = { verb: 'verify', wall, ...rest, archive: resolve(options.archive) } as const;
      return await runChild(request, SUMMARY, watch(signal, onProgress));
    },
    copy: async ({ signal, onProgress, ...rest }: CopyOptions) =>
      await runChild({ verb: 'copy', ...rest }, COPY_SUMMARY, watch(signal, onProgress)),
    compare: async (request: CompareRequest, signal?: AbortSignal) =>
      await runChild(
        { verb: 'compare', wall, ...request, archive: resolve(request.archive) },
        DIFFERENCE,
        watch(signal, undefined),
      ),
    measure: async (root: string) => await runChild({ verb: 'measure', root: resolve(root) }, MEASURED, {}),
  };
}

async function pack(options: PackOptions): Promise<ArchiveSummary> {
  const archive = resolve(options.archive);
  created(archive, () => closeSync(openSync(archive, 'wx', 0o600)));
  try {
    const request = { verb: 'pack', root: resolve(options.root), archive } as const;
    return await runChild(request, SUMMARY, watch(options.signal, options.onProgress));
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
    const request = { verb: 'extract', wall, ...rest, archive: resolve(options.archive), destination } as const;
    return await runChild(request, SUMMARY, watch(signal, onProgress));
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

/** @param ok shape of the answer when all went well */
async function runChild<T>(request: ChildRequest, ok: z.ZodType<T>, { signal, onProgress }: Watch): Promise<T> {
  signal?.throwIfAborted();
  const { child, ended } = start(request);
  // What could not be started has no streams where descriptors ran out; its end, which is under way, says so.
  if (child.pid === undefined) throw new Error(await ended);
  const kill = (): void => void child.kill('SIGKILL');
  const messages = new ChildMessages(ok, onProgress);
  let failure: unknown = null;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    if (failure !== null) return;
    try {
      messages.take(chunk);
    } catch (thrown) {
      failure = thrown;
      kill();
    }
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-4000);
  });
  signal?.addEventListener('abort', kill, { once: true });
  // A child that ended early is seen by its end, not by what it did not read.
  const requests = child.stdio[REQUEST_FD] as Writable;
  for (const input of [child.stdin, requests]) input.on('error', () => undefined);
  child.stdin.end(EMBEDDED ?? '');
  requests.write(`${JSON.stringify(request)}\n`);
  const end = await ended.finally(() => signal?.removeEventListener('abort', kill));
  if (failure !== null) throw failure;
  const { answer } = messages;
  if (answer !== null && 'ok' in answer) return answer.ok;
  if (answer !== null) throw RefloatError.fromJSON(answer.error);
  if (signal?.aborted === true) throw aborted(signal);
  throw new RefloatError('INTERNAL', `the archive process ended without an answer (${end})`, {
    hint: 'Look at the kernel log for a lack of memory. Nothing was written.',
    disposition: 'fail',
    details: { stderr: errors.slice(-1000) },
  });
}

/** A child, and how it ends; what could not be started ends with an error, a moment later. */
function start(request: ChildRequest): {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<string>;
} {
  const options = [`--max-old-space-size=${HEAP_MIB}`, '--max-semi-space-size=8', ...compilers(request)];
  try {
    const child = spawn(process.execPath, [...options, ...PROGRAM, CHILD_COMMAND], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      cwd: DIRECTORY,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8', MALLOC_ARENA_MAX: '2' },
    });
    const ended = new Promise<string>((done, failed) => {
      child.on('error', (cause) => failed(notStarted(cause)));
      child.on('close', (code, by) => done(by ?? `exit code ${code}`));
    });
    return { child, ended };
  } catch (cause) {
    throw notStarted(cause);
  }
}

function notStarted(cause: unknown): RefloatError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const files =
    'Too many files are open: raise the limit of the agent ("LimitNOFILE=" of its unit, "ulimit -n") or of the host (fs.file-max).';
  return new RefloatError('INTERNAL', `the archive process could not be started (${code})`, {
    hint: code === 'EMFILE' || code === 'ENFILE' ? files : 'Look at the host for a lack of processes or of memory.',
    disposition: 'retry',
    cause,
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
