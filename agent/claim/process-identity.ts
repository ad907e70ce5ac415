/** Says which process this is, so that a successor can tell whether it still lives. */
import { readFileSync, readlinkSync } from 'node:fs';

/** `<boot id>/<PID namespace>/<PID>/<start time in clock ticks since boot>` of this process. */
export function processIdentity(pid = process.pid): string {
  return [bootId(), pidNamespace(), String(pid), startTime(pid) ?? '0'].join('/');
}

/**
 * True only if the process that an identity names is certainly gone: the machine was the same and was not booted since, the
 * processes are visible from here, and none has that PID and start time. Another machine's process is never known to be dead.
 */
export function isCertainlyDead(identity: string): boolean {
  const [boot, namespace, pid, start] = identity.split('/');
  if (boot === undefined || namespace === undefined || pid === undefined || start === undefined) return false;
  if (boot !== bootId() || namespace !== pidNamespace() || !/^\d+$/.test(pid)) return false;
  return startTime(Number(pid)) !== start;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

/** Field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold anything, so count from its closing parenthesis. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie holds no lock, no file and no connection any more.
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
