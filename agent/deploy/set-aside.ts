/**
 * A container that is being replaced keeps existing under another name until its successor has proved itself. Everything
 * that is needed to bring it back stands in that name, so that it survives a crash without a journal: one call to Docker
 * both moves it aside and records how it was.
 *
 * `shop-db-1.refloat-deploy-<workload id>-<intent>-on-failure.3-run` (ids without dashes, of the intent the last 12 digits)
 */
import type { RestartPolicy } from '../docker/engine.ts';
import type { QuiescedContainer } from './types.ts';

/** Whose containers they are: a deploy's are repaired by `repair-deploy.ts`, a restore's by the restore's own recovery. */
export type SetAsideBy = 'deploy' | 'restore';

export interface SetAside {
  /** The name that it had, and gets back. */
  readonly name: string;
  readonly by: SetAsideBy;
  readonly workloadId: string;
  /** Last 12 digits of the intent's id. */
  readonly intent: string;
  readonly restartPolicy: RestartPolicy;
  readonly state: 'run' | 'pause' | 'stop';
  /** The successors have proved themselves: this one is only to be removed. */
  readonly done: boolean;
}

const PATTERN =
  /^(.+)\.refloat-(deploy|restore)-([0-9a-f]{32})-([0-9a-f]{12})-(no|always|unless-stopped|on-failure)\.(\d+)-(run|pause|stop)(-done)?$/;

/** The part of an intent's id by which its containers are told from another intent's: a UUIDv7 begins with the time. */
export function intentMark(intentId: string): string {
  return intentId.replaceAll('-', '').slice(-12).toLowerCase();
}

export function setAsideName(by: SetAsideBy, workloadId: string, intentId: string, record: QuiescedContainer): string {
  const state = record.state === 'paused' ? 'pause' : record.active ? 'run' : 'stop';
  const policy = record.restartPolicy.name === '' ? 'no' : record.restartPolicy.name;
  const workload = workloadId.replaceAll('-', '').toLowerCase();
  return `${record.name}.refloat-${by}-${workload}-${intentMark(intentId)}-${policy}.${record.restartPolicy.maximumRetryCount}-${state}`;
}

/** Null for the name of a container that nobody set aside. */
export function parseSetAside(name: string): SetAside | null {
  const match = PATTERN.exec(name);
  if (match === null) return null;
  const [, original = '', by = '', workload = '', intent = '', policy = '', retries = '', state = '', done] = match;
  return {
    name: original,
    by: by as SetAsideBy,
    workloadId: workload.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    intent,
    restartPolicy: { name: policy as RestartPolicy['name'], maximumRetryCount: Number(retries) },
    state: state as SetAside['state'],
    done: done !== undefined,
  };
}
