/**
 * A capture on one screen. Each line is a step with a file of its own in steps/.
 *
 * Guarantees: containers that the capture froze run again after every failure, cancel and crash, as soon as the agent is
 * up, also where the disk neither takes a record of that nor lets what was made be removed; a snapshot becomes known only when it is
 * complete, verified and durable; what was refused was not touched.
 * The freeze does not grow with the bytes: the volumes are copied before it, by reflink where the file system can, and the
 * freeze takes what changed since. Without room for copies the archives are written inside it, and a warning says so.
 * With freeze `live` nothing stands still: files that change while they are read are named in the result.
 */
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import { shareOf, type WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { runJournaled } from '../restore/run-journaled.ts';
import type { Saga } from '../restore/saga.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import type { CaptureFacts } from './facts.ts';
import { afterHook } from './steps/after-hook.ts';
import { archive } from './steps/archive.ts';
import { beforeHook } from './steps/before-hook.ts';
import { catchUp } from './steps/catch-up.ts';
import { checkDisk } from './steps/check-disk.ts';
import { clone } from './steps/clone.ts';
import { copy } from './steps/copy.ts';
import { freeze } from './steps/freeze.ts';
import { preflight } from './steps/preflight.ts';
import { register } from './steps/register.ts';
import { resume } from './steps/resume.ts';

export const CAPTURE: Saga<CaptureFacts> = {
  steps: [
    preflight, //  every check, no side effect
    checkDisk, //  bytes and inodes for copies and archives
    copy, //       the volumes, beside themselves                    undo: remove the copies
    beforeHook, // a command in the newest running container         undo: the other hook
    catchUp, //    what changed since
    freeze, //     record, then stop or pause             FROZEN     undo, the first of all: bring them back
    clone, //      what changed since                       |        undo: remove the snapshot, if it was made here
    resume, //     the same containers run again          RUNS AGAIN
    afterHook, //  a command in the same container
    archive, //    pack, read back, publish durably                  undo: remove the snapshot
    register, //   COMMIT POINT: known to Postgres from here on
  ],
  async retake({ lock, signal, factOrNull }) {
    const checked = factOrNull('preflight');
    if (checked === null) return;
    const paths = checked.volumes.map(({ path }) => path);
    await lock.take(shareOf(factOrNull('containers') ?? [], paths), signal);
  },
  result({ fact, intent }) {
    const { snapshotId, image, imageId } = fact('preflight');
    const { path, bytes, entries } = fact('archive');
    return {
      snapshotId,
      snapshotPath: path,
      image,
      imageId,
      bytes,
      entries,
      downtimeMs: fact('resume').downtimeMs,
      freeze: intent.workload.config.capture.freeze,
      takenBy: fact('clone').by,
      containers: fact('freeze').frozen,
      skipped: readSnapshotDirectory(path).manifest.volumes.flatMap((volume) =>
        volume.skipped.map((skipped) => ({ ...skipped, volume: volume.name })),
      ),
    };
  },
};

/** Runs a capture to its outcome; never throws for what the saga can take back or record. */
export async function runCapture(
  deps: AgentDeps,
  lock: WorkloadLock,
  intent: ClaimedIntent,
  control: IntentControl,
): Promise<Outcome> {
  return runJournaled(CAPTURE, { deps, lock, control }, intent);
}
