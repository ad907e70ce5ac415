/** A thread that creates small files with synchronous calls, one batch after the other. Ends when told to, after what was handed to it. */
import { parentPort, workerData } from 'node:worker_threads';
import { toRefloatError } from '../../db/errors.ts';
import { FileWriter } from './file-writer.ts';
import { fileSystemError } from './fs-error.ts';
import { close } from './syscalls.ts';
import {
  CONSUMED,
  decodeBatch,
  PRODUCED,
  SLOT_BYTES,
  SLOTS,
  STOP,
  type WriterData,
  type WriterMessage,
} from './writer-protocol.ts';

const { root, control, slots } = workerData as WriterData;
const state = new Int32Array(control);
const send = (message: WriterMessage): void => parentPort?.postMessage(message);
const files = new FileWriter(root, (path, reason, detail) =>
  send({ skipped: detail === undefined ? [path, reason] : [path, reason, detail] }),
);
let failed = false;

function writeBatch(batch: Buffer): void {
  decodeBatch(batch, (path, meta, data) => {
    try {
      const fd = files.create(path, meta.mode);
      try {
        files.fill(fd, path, meta, data);
      } finally {
        close(fd);
      }
    } catch (error) {
      throw fileSystemError(path, error);
    }
  });
}

send({ ready: true });
for (;;) {
  const consumed = Atomics.load(state, CONSUMED);
  const produced = Atomics.load(state, PRODUCED);
  if (produced === consumed) {
    if (Atomics.load(state, STOP) === 1) break;
    Atomics.wait(state, PRODUCED, produced, 1000);
    continue;
  }
  try {
    // After a failure the rest is only taken off the ring: the extraction is about to be thrown away.
    if (!failed) writeBatch(Buffer.from(slots, (consumed % SLOTS) * SLOT_BYTES, SLOT_BYTES));
  } catch (error) {
    failed = true;
    send({ error: toRefloatError(error).toJSON() });
  }
  Atomics.add(state, CONSUMED, 1);
  Atomics.notify(state, CONSUMED);
}
files.close();
send({ stopped: true });
