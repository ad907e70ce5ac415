/**
 * Builds dist/refloat.js and dist/refloat-agent.js: one file each, with everything in it but native packages.
 * `npm run build` runs it.
 */
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { COMMON, embedArchiveChild } from './esbuild.child.mjs';
import { guardPostgres } from './esbuild.postgres.mjs';

// Built aside and moved into place, so that a program that is just being started is always whole.
const aside = `dist/.build-${process.pid}`;
await mkdir(aside, { recursive: true });
await build({
  ...COMMON,
  entryPoints: { refloat: 'functions/cli/main.ts', 'refloat-agent': 'agent/cli/main.ts' },
  outdir: aside,
  legalComments: 'eof',
  define: await embedArchiveChild(),
  plugins: [guardPostgres()],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nimport { fileURLToPath as __fileURLToPath } from 'node:url';\nimport { dirname as __pathDirname } from 'node:path';\nconst require = __createRequire(import.meta.url);\nconst __filename = __fileURLToPath(import.meta.url);\nconst __dirname = __pathDirname(__filename);",
  },
});
for (const file of ['refloat.js', 'refloat-agent.js']) {
  await chmod(`${aside}/${file}`, 0o755);
  await rename(`${aside}/${file}`, `dist/${file}`);
}
await rm(aside, { recursive: true, force: true });
