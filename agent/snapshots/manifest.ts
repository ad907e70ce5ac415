/**
 * What a snapshot says of itself: `manifest.json`.
 *
 * Guarantees: a parsed manifest is of a known version, names every volume once, and names no file but `<volume>.tar.zst`
 * beside it. Unknown members are refused: a manifest that this version does not wholly understand is not restored by halves.
 * Does not guarantee: that it is true (its SHA-256 in the database decides that), and it never decides where data goes.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SCOPES } from '../../db/scopes.ts';
import { COUNT, LONGEST_PATH, SHA256, SKIPPED, treeCounts } from '../archive/answer-shapes.ts';
import type { Policy } from '../archive/types.ts';

export const MANIFEST_FORMAT = 'refloat-snapshot';
export const MANIFEST_VERSION = 1;
/** A larger manifest is refused before it is read into memory. */
export const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Names listed per volume of what was not captured; the rest is counted. */
export const MAX_SKIPPED_LISTED = 1000;

/** The same rule as the workload's volume names: one path component, not hidden. */
const VOLUME_NAME = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/);

const VOLUME = z
  .strictObject({
    name: VOLUME_NAME,
    scope: z.enum(SCOPES),
    /** Where it was captured, for people. A restore takes its target from the workload's current configuration. */
    source: z.string().max(4096),
    target: z.string().max(4096),
    archive: z.string().max(80),
    sha256: SHA256,
    archiveBytes: COUNT,
    counts: z.strictObject(treeCounts(COUNT)),
    /** Only when a path is longer than 4,096 bytes or 256 components. */
    longestPath: LONGEST_PATH.optional(),
    /** How many entries were not captured; `skipped` names at most MAX_SKIPPED_LISTED of them. */
    skippedCount: COUNT,
    skipped: z.array(SKIPPED).max(MAX_SKIPPED_LISTED),
  })
  .refine((volume) => volume.archive === archiveName(volume.name), {
    path: ['archive'],
    message: 'must be the name of the volume with .tar.zst',
  });

export const MANIFEST = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  version: z.literal(MANIFEST_VERSION),
  id: z.uuid(),
  kind: z.enum(['capture', 'pre-restore', 'imported']),
  workload: z.strictObject({ id: z.uuid(), name: z.string().max(64) }),
  intentId: z.uuid(),
  capturedAt: z.iso.datetime(),
  image: z.strictObject({ reference: z.string().max(512), id: z.string().max(128) }),
  agentVersion: z.string().max(64),
  /** Of an imported snapshot: which archives of whom, and by which policy they were read. */
  origin: z
    .strictObject({
      policy: z.enum(['strict', 'faithful']),
      importedBy: z.string().max(512),
      importedAt: z.iso.datetime(),
      archives: z
        .array(
          z.strictObject({
            file: z.string().max(1024),
            fileSha256: SHA256,
            bytes: COUNT,
            volumes: z.array(z.strictObject({ name: VOLUME_NAME, inside: z.string().max(4096) })).max(64),
          }),
        )
        .max(64),
    })
    .optional(),
  volumes: z
    .array(VOLUME)
    .min(1)
    .max(64)
    .refine((volumes) => new Set(volumes.map((volume) => volume.name)).size === volumes.length, 'names a volume twice'),
  /** The workload's configuration without its environment at the time of the capture; for people, never obeyed. */
  config: z.record(z.string(), z.json()).optional(),
});

export type Manifest = z.output<typeof MANIFEST>;
export type ManifestVolume = Manifest['volumes'][number];

/**
 * How the archives of a snapshot whose manifest's digest was checked are read: an import by the policy that it was made with, never by
 * a laxer one; what this program captured itself faithfully.
 */
export function policyOf(manifest: Pick<Manifest, 'kind' | 'origin'>): Policy {
  return manifest.kind === 'imported' ? (manifest.origin?.policy ?? 'strict') : 'faithful';
}

export function archiveName(volume: string): string {
  return `${volume}.tar.zst`;
}

/** The file's bytes: what is hashed is what is written. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
