/**
 * A workload's configuration: what the API accepts, the database stores and the agent obeys.
 *
 * Guarantees: a parsed configuration names no path that leaves its base by its text (`..`, empty components, NUL).
 * Does not guarantee: that the path is free of symbolic links, or inside a host's allowed roots; only the host knows.
 */
import { z } from 'zod';
import { SCOPES } from './scopes.ts';

/** One path component that we make up names from: project, stage, volume and workload names. */
const NAME = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
    'must be 1 to 63 of letters, digits, dot, dash and underscore, and begin with a letter or digit',
  );

const ABSOLUTE = z
  .string()
  .max(4096)
  .refine(
    (path) => path.startsWith('/') && isCleanPath(path.slice(1)),
    'must be an absolute path without "..", "." or empty components',
  );

export const VOLUME_NAME = NAME;

const VOLUME = z
  .strictObject({
    name: VOLUME_NAME,
    scope: z.enum(SCOPES),
    /** absolute: a host path. project, stage: relative to the base. named: a Docker volume's name. */
    source: z.string().max(4096).default(''),
    target: ABSOLUTE,
    readOnly: z.boolean().default(false),
    /**
     * Containers that are not the workload's may mount the directory too. A restore stops those that run and starts them
     * again with the workload; without this it refuses and names them.
     */
    shared: z.boolean().optional(),
  })
  .superRefine((volume, context) => {
    const problem = sourceProblem(volume.scope, volume.source);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: ['source'], message: problem });
  });

const PORT = z.strictObject({
  container: z.int().min(1).max(65535),
  host: z.int().min(1).max(65535).optional(),
  ip: z.union([z.ipv4(), z.ipv6()]).optional(),
  protocol: z.enum(['tcp', 'udp']).optional(),
});

const COMMAND = z.array(z.string().max(65536)).min(1).max(1024);

export const WORKLOAD_CONFIG = z
  .strictObject({
    name: NAME,
    project: NAME,
    stage: NAME.default('prod'),
    /** In lower case, as the database and labels have it. */
    hostId: z.uuid().toLowerCase(),
    /** Where the software comes from. Only `image` workloads can be captured and restored. */
    source: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/)
      .default('image'),
    image: z.string().max(512).refine(isImageReference, 'must be an image reference'),
    command: COMMAND.optional(),
    entrypoint: COMMAND.optional(),
    env: z.record(z.string().regex(/^[^=\0]+$/), z.string().regex(/^[^\0]*$/)).default({}),
    ports: z.array(PORT).max(256).default([]),
    /** `bridge`, `host`, `none` or the name of a network; never another container's. */
    network: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, 'must be bridge, host, none or the name of a network')
      .default('bridge'),
    volumes: z.array(VOLUME).max(64).default([]),
    replicas: z.int().min(0).max(64).default(1),
    restart: z
      .string()
      .regex(/^(no|always|unless-stopped|on-failure(:\d{1,4})?)$/)
      .default('unless-stopped'),
    stopTimeoutSeconds: z.int().min(0).max(3600).default(10),
    user: z.string().min(1).max(128).optional(),
    health: z
      .strictObject({
        /** How long a container without a health check of its own must run without a restart. */
        graceSeconds: z.number().min(0).max(3600).default(5),
        timeoutSeconds: z.number().min(1).max(86400).default(60),
      })
      .prefault({}),
    hooks: z.strictObject({ beforeCapture: COMMAND.optional(), afterCapture: COMMAND.optional() }).prefault({}),
    /** Containers that something else created, as `refloat workload adopt` found them. They are started again, never made anew while they are there. */
    adopted: z
      .strictObject({
        /** Names: Docker's ids change whenever their maker makes them anew. */
        containers: z
          .array(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/))
          .min(1)
          .max(64),
        /** What they have and this configuration lacks; until a person has looked and emptied it, nothing is created in their place. */
        incomplete: z.array(z.string().max(4096)).max(256).default([]),
      })
      .optional(),
    capture: z.strictObject({ freeze: z.enum(['stop', 'pause', 'live']).default('pause') }).prefault({}),
  })
  .superRefine((config, context) => {
    for (const [field, values] of [
      ['name', config.volumes.map((volume) => volume.name)],
      ['target', config.volumes.map((volume) => volume.target)],
    ] as const) {
      const seen = new Set<string>();
      values.forEach((value, index) => {
        if (seen.has(value))
          context.addIssue({
            code: 'custom',
            path: ['volumes', index, field],
            message: `${field} "${value}" is used twice`,
          });
        seen.add(value);
      });
    }
  });

/** Image references go into addresses of the engine's interface unescaped: they must not be able to lead elsewhere. */
export function isImageReference(text: string): boolean {
  return (
    /^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$/.test(text) &&
    !text.split('/').some((component) => component === '' || component === '.' || component === '..')
  );
}

export type WorkloadConfig = z.output<typeof WORKLOAD_CONFIG>;
export type WorkloadConfigInput = z.input<typeof WORKLOAD_CONFIG>;
export type VolumeConfig = WorkloadConfig['volumes'][number];

/**
 * What is wrong with a source by its text alone, or undefined.
 * The agent asks this again, since it does not trust the database.
 */
export function sourceProblem(scope: (typeof SCOPES)[number], source: string): string | undefined {
  if (source.includes('\0')) return 'must not contain NUL';
  // Where restores keep staged and previous trees.
  if (source.split('/').some((part) => part.startsWith('.refloat-')))
    return 'must not name a directory of Refloat itself';
  switch (scope) {
    case 'absolute':
      return source.startsWith('/') && source !== '/' && isCleanPath(source.slice(1))
        ? undefined
        : 'scope absolute needs an absolute path without "..", "." or empty components';
    case 'project':
    case 'stage':
      return isCleanPath(source)
        ? undefined
        : `scope ${scope} needs a relative path without "..", "." or empty components`;
    case 'named':
      return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(source)
        ? undefined
        : 'scope named needs the name of a Docker volume';
    case 'instance':
    case 'ephemeral':
      return undefined;
    default:
      return scope satisfies never;
  }
}

function isCleanPath(relative: string): boolean {
  return (
    relative !== '' &&
    !relative.includes('\0') &&
    relative.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255)
  );
}

/** The configuration as text with sorted keys, the same for equal configurations; input of the spec hash. */
export function canonicalConfig(config: WorkloadConfig): string {
  return JSON.stringify(sortKeys(config));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sortKeys(member)]));
}
