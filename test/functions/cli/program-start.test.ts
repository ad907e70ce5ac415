/** What both programs do before any command does: signals that come early or twice, and output that nobody takes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { onStopSignals } from '../../../db/stop-signals.ts';
import { throughShell } from '../../helpers/program.ts';

const START = new URL('../../../db/program-start.ts', import.meta.url).href;

/** A program that does `work` once it is prepared, and is told to stop then. */
async function interruptedIn(work: string, signal: NodeJS.Signals) {
  const source = `import { prepareProgram } from ${JSON.stringify(START)}; prepareProgram(); ${work}; console.log('ready'); setTimeout(() => {}, 60_000);`;
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', source, '--', '--json'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (chunk.includes('ready')) child.kill(signal);
  });
  const [code, by] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, by, last: said.trim().split('\n').at(-1) ?? '' };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} before a command listens is exit code 130 and one JSON object`, async () => {
    const { code, by, last } = await interruptedIn('', signal);
    assert.deepEqual([code, by, JSON.parse(last).error.code], [130, null, 'INTERRUPTED']);
  });

test('a command that listens is left alone', async () => {
  const { code, last } = await interruptedIn("process.on('SIGTERM', () => process.exit(7))", 'SIGTERM');
  assert.deepEqual([code, last], [7, 'ready']);
});

test('a signal that comes twice at once is one, and a later one is another', async (t) => {
  const heard: string[] = [];
  t.after(onStopSignals(['SIGHUP'], (name) => heard.push(name)));
  process.emit('SIGHUP', 'SIGHUP');
  process.emit('SIGHUP', 'SIGHUP');
  assert.equal(heard.length, 1);
  await delay(350);
  process.emit('SIGHUP', 'SIGHUP');
  assert.equal(heard.length, 2);
});

for (const [program, args] of [
  ['refloat', 'keys generate'],
  ['refloat-agent', 'status --json'],
] as const) {
  test(`${program}: a reader that has gone is no failure, a full disk is one, and neither shows a stack trace`, async () => {
    const piped = await throughShell(program, args, '| true');
    assert.equal(piped, 'rc=0\n');
    const full = await throughShell(program, args, '> /dev/full');
    assert.match(full, /^FILE_SYSTEM_FAILED: cannot write to standard output \(ENOSPC\)\nrc=1\n$/);
  });
}
