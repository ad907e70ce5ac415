import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Waits until a process stands still (SIGSTOP), as an agent with REFLOAT_STOP_AT does at its point. */
export async function untilStopped(pid: number): Promise<void> {
  const until = performance.now() + 60_000;
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) {
    assert.ok(performance.now() < until, 'the agent did not come to the point');
    await delay(10);
  }
}
