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
        const { async } = call as unknown as { async: (...all: unknown[]) => unknown };
        const pointed =
          (made: (...all: unknown[]) => unknown) =>
          (...given: unknown[]): unknown => {
            if (name !== 'openat' || (Number(given[2]) & O_CREAT) !== 0) point(name);
            return made(...given);
          };
        // On the thread pool, such as the early syncs of an extraction of more than 96 MiB.
        return Object.assign(pointed(call as unknown as (...all: unknown[]) => unknown), { async: pointed(async) });
      },
    };
  },
};
// biome-ignore lint/style/noDefaultExport: koffi's own form
export default pointing;
