/**
 * Named places where a test can have the agent killed, as a power cut would: nothing is flushed, nothing is unwound.
 * Armed by the environment alone: `REFLOAT_CRASH_AT=NAME#K` for the K-th time that NAME is passed; `REFLOAT_STOP_AT=NAME#K` stops
 * it there (SIGSTOP) until somebody lets it go on;
 * `REFLOAT_CRASH_TRACE=FILE` appends `NAME#K` of every place in the order in which they are passed.
 */
import { appendFileSync } from 'node:fs';

const armed = process.env['REFLOAT_CRASH_AT'];
const stopping = process.env['REFLOAT_STOP_AT'];
const trace = process.env['REFLOAT_CRASH_TRACE'];
const passed = new Map<string, number>();

/** Kills this process if a test asked for it; otherwise does nothing. */
export function crashPoint(name: string): void {
  if (armed === undefined && stopping === undefined && trace === undefined) return;
  const times = (passed.get(name) ?? 0) + 1;
  passed.set(name, times);
  if (trace !== undefined) appendFileSync(trace, `${name}#${times}\n`);
  if (armed === `${name}#${times}`) process.kill(process.pid, 'SIGKILL');
  if (stopping === `${name}#${times}`) process.kill(process.pid, 'SIGSTOP');
}
