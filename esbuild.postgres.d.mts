import type { Plugin } from 'esbuild';

export function guardPostgres(): Plugin;
