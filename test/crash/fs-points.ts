/** `node:fs` with a point before every call that changes something. Only what the agent imports of it. */
import * as fs from 'node:fs';
import { point } from './points.ts';

export * from 'node:fs';

// biome-ignore lint/suspicious/noExplicitAny: any function, with the type that it has
function pointed<F extends (...args: any[]) => unknown>(name: string, call: F): F {
  return ((...args: Parameters<F>) => {
    point(name);
    return call(...args);
  }) as F;
}

const CHANGES = fs.constants.O_CREAT | fs.constants.O_TRUNC;

export const openSync: typeof fs.openSync = (path, flags, mode) => {
  if (typeof flags === 'string' ? /[wa]/.test(flags) : (Number(flags) & CHANGES) !== 0) point('open');
  return fs.openSync(path, flags, mode);
};
export const writeSync = pointed('write', fs.writeSync);
export const fsyncSync = pointed('fsync', fs.fsyncSync);
export const fsync = pointed('fsync', fs.fsync) as typeof fs.fsync;
export const ftruncateSync = pointed('ftruncate', fs.ftruncateSync);
export const renameSync = pointed('rename', fs.renameSync);
export const mkdirSync = pointed('mkdir', fs.mkdirSync);
export const rmdirSync = pointed('rmdir', fs.rmdirSync);
export const unlinkSync = pointed('unlink', fs.unlinkSync);
export const rmSync = pointed('rm', fs.rmSync);
export const fchownSync = pointed('fchown', fs.fchownSync);
export const fchmodSync = pointed('fchmod', fs.fchmodSync);
