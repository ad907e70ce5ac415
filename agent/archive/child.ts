/**
 * The archive's own process: untrusted bytes are parsed here and nowhere else.
 *
 * Guarantees: it ends when the agent ends, having emptied what it was building; it answers exactly once.
 */
import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { compareTree } from './compare.ts';
import { copyTree } from './copy-tree.ts';
import { extractArchive, verifyArchive } from './extract.ts';
import { measureTree } from './measure.ts';
import { packTree } from './pack.ts';
import { type ChildMessage, type ChildRequest, REQUEST_FD } from './protocol.ts';
import { emptyTree } from './remove-tree.ts';
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
    case 'extract':
      return await walled(request, request.destination, async () => await extractArchive(request, onProgress));
    case 'verify':
      return await walled(request, null, async () => await verifyArchive(request, onProgress));
    case 'copy':
      return await copyTree(request, onProgress);
    case 'compare':
      setPriority(COMPARE_PRIORITY);
      return await walled(request, null, async () => await compareTree(request));
    case 'measure':
      return measureTree(request.root);
  }
}

/** A question of curiosity waits for restores and for the workloads themselves. */
const COMPARE_PRIORITY = 15;

/** Before the first byte of the archive is read, and before any other thread is started. */
async function walled<T extends object>(
  request: Extract<ChildRequest, { wall: boolean }>,
  writable: string | null,
  action: () => Promise<T>,
): Promise<T & Pick<ArchiveSummary, 'warnings'>> {
  const trustedAttributes = request.expected?.sha256 !== undefined && request.policy === 'faithful';
  const warnings = request.wall
    ? enterWall({ writable, trustedAttributes })
    : ['The extraction ran without its second wall, as it was told to.'];
  const summary = await action();
  return warnings.length === 0 ? summary : { ...summary, warnings };
}
