/** `koffi` with a point before every call of a libc function that changes the file system. */
import koffi from 'koffi';
import { point } from './points.ts';

const CHANGING =
  /\b(renameat2|syncfs|mkdirat|symlinkat|linkat|unlinkat|fchmod|fchown|fchownat|futimens|utimensat|fsetxattr|fremovexattr|lsetxattr|ftruncate|write|pwrite|openat)\(/;
const O_CREAT = 0o100;

const pointing = {
  ...koffi,
  load: (...args: Parameters<typeof koffi.load>) => {
    const library = koffi.load(...args);
    return {
      ...library,
      func: (definition: string) => {
        const call = library.func(definition);
        const name = CHANGING.exec(definition)?.[1];
        if (name === undefined) return call;
        return (...given: unknown[]): unknown => {
          if (name !== 'openat' || (Number(given[2]) & O_CREAT) !== 0) point(name);
          return (call as unknown as (...all: unknown[]) => unknown)(...given);
        };
      },
    };
  },
};
// biome-ignore lint/style/noDefaultExport: koffi's own form
export default pointing;
