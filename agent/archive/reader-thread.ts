/** A thread that makes frames of entries, with synchronous calls, one batch after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { BlockReader } from './block-reader.ts';
import type { ReaderData, ReaderJob, ReaderMessage } from './reader-protocol.ts';

const reader = new BlockReader(workerData as ReaderData);
const send = (message: ReaderMessage): void => parentPort?.postMessage(message);

parentPort?.on('message', (job: ReaderJob | 'stop') => {
  if (job !== 'stop') send(reader.read(job));
  else {
    reader.close();
    parentPort?.close();
  }
});
send({ ready: true });
