/** `npm run bench -- NAME`: side-by-side measurements in one run. */
const BENCHES: Readonly<Record<string, () => Promise<{ main(args: readonly string[]): Promise<void> }>>> = {
  api: () => import('./api.ts'),
  archive: () => import('./archive.ts'),
  downtime: () => import('./downtime.ts'),
  pause: () => import('./pause.ts'),
};

const [name, ...args] = process.argv.slice(2);
const load = name === undefined ? undefined : BENCHES[name];
if (load === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(BENCHES).join('|')}\n`);
  process.exit(2);
}
await (await load()).main(args);
