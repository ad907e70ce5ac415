/** A deployed workload on a whole stack, and everything that a person does with it, each to its end. */
import assert from 'node:assert/strict';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import type { Answer, Stack } from './stack.ts';

export interface Restorable {
  readonly id: string;
  readonly name: string;
  /** POSTs below the workload, confirmed, and waits for the end. */
  post(path: string, body?: unknown): Promise<Answer['body']>;
  /** The same; fails unless it succeeded. */
  succeed(path: string, body?: unknown): Promise<Answer['body']>;
  /** The id of the new snapshot. */
  capture(): Promise<string>;
  plan(snapshot: string): Promise<Answer['body']>;
  /** Whatever it comes to. */
  restore(snapshot: string): Promise<Answer['body']>;
  restored(snapshot: string): Promise<Answer['body']>;
  /** Only asked for; the id of the intent. */
  begin(snapshot: string): Promise<string>;
  undo(intent: string): Promise<Answer['body']>;
  change(more: Partial<WorkloadConfigInput>): Promise<void>;
}

/** @param deploy false for a workload of which something else makes the containers */
export async function restorable(
  stack: Stack,
  config: Partial<WorkloadConfigInput>,
  { deploy = true }: { readonly deploy?: boolean } = {},
): Promise<Restorable> {
  const workload = restorableOf(stack, await stack.createWorkload(config));
  if (deploy) await workload.succeed('deploy');
  return workload;
}

/** One that is there already. */
export function restorableOf(stack: Stack, { id, name }: { readonly id: string; readonly name: string }): Restorable {
  const ask = async (path: string, body: unknown): Promise<string> => {
    const headers = { 'x-confirm-restore': name };
    const { status, body: intent } = await stack.call('POST', path, { body: body ?? {}, headers });
    assert.equal(status, 202, JSON.stringify(intent));
    return intent.id;
  };
  const own = (path: string) => `/api/workloads/${id}/${path}`;
  const succeeded = (finished: Answer['body']) => {
    assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
    return finished;
  };
  const post = async (path: string, body?: unknown) => stack.finished(await ask(own(path), body));
  return {
    id,
    name,
    post,
    succeed: async (path, body) => succeeded(await post(path, body)),
    capture: async () => succeeded(await post('snapshots')).result.snapshotId,
    plan: async (snapshot) => succeeded(await post(`snapshots/${snapshot}/plan`)).result.plan,
    restore: (snapshot) => post(`snapshots/${snapshot}/restore`),
    restored: async (snapshot) => succeeded(await post(`snapshots/${snapshot}/restore`)),
    begin: (snapshot) => ask(own(`snapshots/${snapshot}/restore`), {}),
    undo: async (intent) => succeeded(await stack.finished(await ask(`/api/intents/${intent}/undo`, {}))),
    change: async (more) => {
      const { body } = await stack.call('GET', `/api/workloads/${id}`);
      const { status, body: answer } = await stack.call('PUT', `/api/workloads/${id}`, {
        body: { ...body.config, ...more },
      });
      assert.equal(status, 200, JSON.stringify(answer));
    },
  };
}
