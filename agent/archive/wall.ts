/**
 * The second wall: what the extracting process can reach even if the first one, the strict reader and writer, is wrong.
 *
 * Guarantees, when it stands: in a mount namespace of its own everything but the staging directory is read-only and no device file works
 * anywhere; there is no network; of root's capabilities only those are left that ownership, modes and attributes need; no core dump.
 * Does not guarantee: that it stands. Namespaces may be forbidden (not root, some containers); `enterWall` then says so in words that
 * reach the result.
 *
 * It holds for the calling thread and every thread that it starts afterwards. Node's own helper threads (garbage collection,
 * compilation) are older than it; they make no file system calls.
 */
import { constants } from 'node:os';
import { dirname } from 'node:path';
import koffi from 'koffi';
import { cString, SystemCallError } from './syscalls.ts';

const CLONE_NEWNS = 0x00020000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;
const MS_RDONLY = 1;
const MS_NODEV = 4;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16_384;
const MS_PRIVATE = 1 << 18;
const ATTR_RDONLY = 1n;
const ATTR_NOSUID = 2n;
const ATTR_NODEV = 4n;
const ATTR_NOEXEC = 8n;
const AT_RECURSIVE = 0x8000;
/** The same on every architecture, like all system calls since 2019. */
const SYS_MOUNT_SETATTR = 442;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const LAST_CAPABILITY = 40;
const RLIMIT_CORE = 4;
const W_OK = 2;

const CAPABILITIES = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, FSETID: 4, SYS_ADMIN: 21, SETFCAP: 31 } as const;

const libc = koffi.load(null);
const unshare = libc.func('int unshare(int)');
const mount = libc.func('int mount(const void*, const void*, const void*, uint64_t, const void*)');
const syscall = libc.func('int64_t syscall(int64_t, int64_t, const void*, int64_t, const void*, int64_t)');
const prctl = libc.func('int prctl(int, uint64_t, uint64_t, uint64_t, uint64_t)');
const capset = libc.func('int capset(const void*, const void*)');
const setrlimit = libc.func('int setrlimit(int, const void*)');
const access = libc.func('int access(const void*, int)');

export interface WallOptions {
  /** The only directory that stays writable; null for none. */
  readonly writable: string | null;
  /** Keep what setting `trusted.*` attributes needs. Only for archives whose digest the database vouches for. */
  readonly trustedAttributes: boolean;
}

/** Returns what does not stand, one sentence each; none means that the wall is complete. */
export function enterWall(options: WallOptions): string[] {
  const missing: string[] = [];
  const attempt = (what: string, action: () => void): boolean => {
    try {
      action();
      return true;
    } catch (error) {
      missing.push(`The extraction ran ${what} (${error instanceof Error ? error.message : String(error)}).`);
      return false;
    }
  };
  const apart = attempt('without namespaces of its own', () =>
    call('unshare', unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)),
  );
  if (apart) attempt('without a read-only view of the host', () => sealMounts(options.writable));
  attempt('with all capabilities of its user', () => dropCapabilities(options.trustedAttributes));
  return missing;
}

function call(name: string, result: unknown): void {
  if (Number(result) !== 0) throw new SystemCallError(name, koffi.errno());
}

function sealMounts(writable: string | null): void {
  const root = cString('/');
  call('mount', mount(null, root, null, MS_REC | MS_PRIVATE, null));
  const path = writable === null ? null : Buffer.concat([Buffer.from(writable), Buffer.alloc(1)]);
  if (path !== null) call('mount', mount(path, path, null, MS_BIND, null));
  setAttributes(root, AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0n);
  if (path === null || writable === null) return;
  setAttributes(path, 0, ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, ATTR_RDONLY);
  // Believe nothing: what lies around the staging directory must refuse to be written.
  const around = Buffer.concat([Buffer.from(dirname(writable)), Buffer.alloc(1)]);
  if (Number(access(around, W_OK)) === 0 || koffi.errno() !== constants.errno.EROFS)
    throw new Error('it did not become read-only');
  call('access', access(path, W_OK));
}

/** mount_setattr(2), Linux 5.12; before that a remount of the root alone, which leaves other mounts as they are. */
function setAttributes(path: Buffer, flags: number, set: bigint, clear: bigint): void {
  const attributes = Buffer.from(new BigUint64Array([set, clear, 0n, 0n]).buffer);
  if (Number(syscall(SYS_MOUNT_SETATTR, -100, path, flags, attributes, attributes.length)) === 0) return;
  if (koffi.errno() !== constants.errno.ENOSYS) throw new SystemCallError('mount_setattr', koffi.errno());
  const remount = MS_REMOUNT | MS_BIND | MS_NODEV | (set % 2n === 1n ? MS_RDONLY : 0);
  call('mount', mount(null, path, null, remount, null));
}

function dropCapabilities(trustedAttributes: boolean): void {
  call('setrlimit', setrlimit(RLIMIT_CORE, Buffer.alloc(16)));
  call('prctl', prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (process.geteuid?.() !== 0) return;
  const { SYS_ADMIN, ...always } = CAPABILITIES;
  const kept = new Set<number>([...Object.values(always), ...(trustedAttributes ? [SYS_ADMIN] : [])]);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability += 1)
    if (!kept.has(capability)) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  let mask = 0;
  for (const capability of kept) mask = (mask | (1 << capability)) >>> 0;
  // Version 3, this thread; then effective, permitted, inheritable, for the lower and the upper half.
  const header = Buffer.from(new Uint32Array([0x20080522, 0]).buffer);
  const granted = grantedOf(mask);
  call('capset', capset(header, Buffer.from(new Uint32Array([granted, granted, 0, 0, 0, 0]).buffer)));
}

/** Those of `mask` that this process has: one cannot ask for more. */
function grantedOf(mask: number): number {
  const capget = libc.func('int capget(const void*, void*)');
  const header = Buffer.from(new Uint32Array([0x20080522, 0]).buffer);
  const data = Buffer.alloc(24);
  call('capget', capget(header, data));
  return (data.readUInt32LE(4) & mask) >>> 0;
}
