/** What an import asks for: the API accepts it, the database keeps it, the agent reads it again since it does not trust the database. */
import { z } from 'zod';
import { VOLUME_NAME } from './workload.ts';

const clean = (path: string): boolean => !path.includes('\0') && !path.split('/').includes('..');

const IMPORTED_ARCHIVE = z.strictObject({
  file: z
    .string()
    .min(1)
    .max(1024)
    .refine((path) => clean(path) && !path.startsWith('/'), 'must be relative to the import directory, without ".."')
    .describe("Relative to the import directory that the host's own configuration sets"),
  volume: VOLUME_NAME.optional().describe('Found by the layout and the name of the archive unless given'),
  inside: z
    .string()
    .max(4096)
    .refine(clean, 'must not have ".."')
    .optional()
    .describe('Directory in the archive that is the root of the volume; found by the layout unless given'),
});

export const IMPORT_PARAMS = z.strictObject({
  archives: z.array(IMPORTED_ARCHIVE).min(1).max(64).describe('One per volume, or one that holds several'),
  policy: z
    .enum(['strict', 'faithful'])
    .default('strict')
    .describe(
      'strict: files and directories only, the rest is left out and reported; faithful: links, set-id bits and all attributes too',
    ),
});
export type ImportParams = z.output<typeof IMPORT_PARAMS>;
