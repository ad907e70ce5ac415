/** Says which process on which machine this is, so that a successor can tell whether it still lives. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `<boot id>/<PID namespace>/<PID>/<start time in clock ticks since boot>/<installation>/<hardware>` of this process. */
export function processIdentity(pid = process.pid): string {
  return [bootId(), pidNamespace(), String(pid), startTime(pid) ?? '0', installation(), hardware()].join('/');
}

/**
 * True only if the process that an identity names is certainly gone: its machine is this one, and either it was booted since,
 * or the processes are visible from here and none has that PID and start time. Another machine's process is never known to be
 * dead, and a copy of this machine is another one: it has the same installation, but not the same hardware.
 */
export function isCertainlyDead(identity: string): boolean {
  const [boot, namespace, pid, start, installed, machine] = identity.split('/');
  if (boot === undefined || namespace === undefined || pid === undefined || start === undefined) return false;
  if (boot !== bootId()) return isSame(installed, installation()) && isSame(machine, hardware());
  if (namespace !== pidNamespace() || !/^\d+$/.test(pid)) return false;
  return startTime(Number(pid)) !== start;
}

/** True only if an identity is known to be another installation's: somebody moved or copied what belongs to one host. */
export function isElsewhere(identity: string): boolean {
  const installed = identity.split('/')[4];
  return installed !== undefined && installed !== '' && installation() !== '' && installed !== installation();
}

function isSame(a: string | undefined, b: string): boolean {
  return a === b && b !== '';
}

/** Of the installed system (machine-id(5)), which a copy of its disk has too; empty where there is none. */
function installation(): string {
  return digest(firstOf(['/etc/machine-id', '/var/lib/dbus/machine-id']));
}

/** Of the machine below: what its firmware says and the addresses of its network cards; empty where nothing tells. */
function hardware(): string {
  const firmware = firstOf(['/sys/class/dmi/id/product_uuid', '/proc/device-tree/serial-number']);
  return digest([firmware, ...cardAddresses()].filter((part) => part !== '').join(' '));
}

function cardAddresses(): string[] {
  const base = '/sys/class/net';
  if (!existsSync(base)) return [];
  const cards = readdirSync(base).filter((name) => existsSync(`${base}/${name}/device`));
  return cards.map((name) => firstOf([`${base}/${name}/address`])).sort();
}

/** Not the text itself: it goes to the control plane. */
function digest(text: string): string {
  return text === '' ? '' : createHash('sha256').update(`refloat ${text}`).digest('hex').slice(0, 16);
}

function firstOf(paths: readonly string[]): string {
  for (const path of paths) {
    try {
      const text = readFileSync(path, 'utf8').replace(/[\0\s]+$/, '');
      if (text !== '') return text;
    } catch {
      // Not there, or not for us: the next one.
    }
  }
  return '';
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
