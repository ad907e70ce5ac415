/** A thread that reads small files and the metadata of other entries into blocks of tar, with synchronous calls, one batch after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { DirFds } from './dir-fds.ts';
import { QuickEntries } from './quick-entry.ts';
import { decodeJob, type ReaderData, type ReaderJob, type ReaderMessage } from './reader-protocol.ts';
import { noCounts } from './tree-counts.ts';

/**
 * When files come from the disk, that many are opened, so that the kernel reads them, before they are read: their waits overlap. When
 * they are in memory, to ask the kernel costs as much as to read them.
 */
const FILES_AHEAD = 32;

const { root } = workerData as ReaderData;
const dirs = new DirFds(root);
const entries = new QuickEntries(dirs, noCounts());
const send = (message: ReaderMessage): void => parentPort?.postMessage(message);

function fill(job: ReaderJob): void {
  const items = decodeJob(job);
  const block = Buffer.from(job.block);
  const marks: [number, number, number][] = [];
  const open: number[] = [];
  entries.counts = noCounts();
  let used = 0;
  let aheadUntil = 0;
  for (const [index, item] of items.entries()) {
    if (entries.isCold) aheadUntil = index + 2 * FILES_AHEAD;
    const last = index < aheadUntil ? index + FILES_AHEAD : index + 1;
    for (const ahead of items.slice(open.length, last)) open.push(entries.open(ahead, index < aheadUntil));
    const end = entries.put(item, open[index] ?? -1, block, used);
    if (end < 0 || item.kind === 'hardlink') marks.push([index, used, Math.max(used, end)]);
    used = Math.max(used, end);
  }
  send({ used, counts: entries.counts, marks });
}

parentPort?.on('message', (job: ReaderJob | 'stop') => {
  if (job !== 'stop') fill(job);
  else {
    dirs.close();
    parentPort?.close();
  }
});
send({ ready: true });
