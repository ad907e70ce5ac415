/**
 * The archive's own process: untrusted bytes are parsed here and nowhere else.
 *
 * Guarantees: it ends when the agent ends, having emptied what it was building; it answers exactly once.
 */
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { compareTree } from './compare.ts';
import { copyTree } from './copy-tree.ts';
import { extractArchive, verifyArchive } from './extract.ts';
import { below, openHolder } from './holder.ts';
import { measureTree } from './measure.ts';
import { packTree } from './pack.ts';
import { type ChildMessage, type ChildRequest, REQUEST_FD } from './protocol.ts';
import { emptyTree } from './remove-tree.ts';
import { O } from './syscalls.ts';
import type { ArchiveSummary } from './types.ts';
import { enterWall } from './wall.ts';

const requests = new Socket({ fd: REQUEST_FD, readable: true, writable: false });

/** Reads the request and serves it. The process exits by itself afterwards. */
export function serveArchiveChild(): void {
  // The agent decides when to stop; a Ctrl-C in the terminal reaches it too.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  let text = '';
  let request: ChildRequest | null = null;
  requests.setEncoding('utf8');
  requests.on('data', (chunk: string) => {
    text += chunk;
    if (request !== null || !text.includes('\n')) return;
    request = JSON.parse(text.slice(0, text.indexOf('\n'))) as ChildRequest;
    void answer(request);
  });
  requests.on('end', () => {
    if (request === null) process.exit(1);
    abandoned = true;
  });
  process.stdout.on('error', () => {
    abandoned = true;
  });
}

/** The agent is gone: the work throws at its next progress, cleans up on its way out, and ends. */
let abandoned = false;

function send(message: ChildMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function answer(request: ChildRequest): Promise<void> {
  try {
    send({ ok: await serve(request) });
  } catch (error) {
    send({ error: toRefloatError(error).toJSON() });
  }
  if (abandoned) {
    // It may have been complete before it noticed; nobody is there to take it.
    if (request.verb === 'extract') emptyTree(request.destination);
    process.exit(1);
  }
  requests.removeAllListeners('end');
  requests.destroy();
}

async function serve(request: ChildRequest): Promise<Extract<ChildMessage, { ok: unknown }>['ok']> {
  const onProgress = (bytesDone: number, entriesDone: number): void => {
    if (abandoned)
      throw new RefloatError('INTERRUPTED', 'the agent is gone', { hint: 'Start it again.', disposition: 'fail' });
    send({ progress: [bytesDone, entriesDone] });
  };
  switch (request.verb) {
    case 'pack':
      return await packTree(request.root, request.archive, onProgress);
    case 'extract': {
      const { warnings, at } = behindWall(request, request.destination);
      return withWarnings(await extractArchive({ ...request, destination: at }, onProgress), warnings);
    }
    case 'verify': {
      const { warnings } = behindWall(request, null);
      return withWarnings(await verifyArchive(request, onProgress), warnings);
    }
    case 'copy':
      return await copyTree(request, onProgress);
    case 'compare':
      setPriority(COMPARE_PRIORITY);
      behindWall(request, null);
      return await compareTree(request);
    case 'measure':
      return measureTree(request.root);
  }
}

/** A question of curiosity waits for restores and for the workloads themselves. */
const COMPARE_PRIORITY = 15;

/**
 * Enters the wall, before the first byte of the archive is read, and before any other thread is started.
 *
 * What stays writable is found at `at` behind it: through a descriptor that was opened there. Its path could lead somewhere else by then,
 * and a descriptor from before would lead around the wall; a working directory goes along.
 */
function behindWall<W extends string | null>(
  request: Extract<ChildRequest, { wall: boolean }>,
  writable: W,
): { readonly warnings: readonly string[]; readonly at: W | string } {
  if (!request.wall)
    return { warnings: ['The extraction ran without its second wall, as it was told to.'], at: writable };
  const trustedAttributes = request.expected?.sha256 !== undefined && request.policy === 'faithful';
  if (writable === null) return { warnings: enterWall({ writable, trustedAttributes }), at: writable };
  const home = process.cwd();
  const holder = openHolder(writable);
  process.chdir(`/proc/self/fd/${holder}`);
  closeSync(holder);
  const warnings = enterWall({ writable: `./${basename(writable)}`, trustedAttributes });
  const inside = openSync('.', O.RDONLY | O.DIRECTORY);
  process.chdir(home);
  return { warnings, at: below(inside, writable) };
}

function withWarnings(summary: ArchiveSummary, warnings: readonly string[]): ArchiveSummary {
  return warnings.length === 0 ? summary : { ...summary, warnings };
}
