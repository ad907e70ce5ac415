/**
 * What an agent reports of a container that is not a workload's yet, so that a workload can be made of it. Written by the host,
 * read by the control plane, which parses it again.
 *
 * The values of its environment are in it only where the host's own configuration says so (REFLOAT_INVENTORY=env).
 */
import { z } from 'zod';

const TEXT = z.string().max(65_536);

const REPORTED_MOUNT = z.object({
  /** Path inside the container. */
  target: TEXT,
  scope: z.enum(['absolute', 'named']),
  /** Host path, or name of a Docker volume. */
  source: TEXT,
  readOnly: z.boolean(),
  /** Why this host could not capture or restore it, as its own checks say; null if it could. */
  problem: z.object({ code: z.string(), message: z.string(), hint: z.string() }).nullable(),
});
export type ReportedMount = z.output<typeof REPORTED_MOUNT>;

/** What differs from the image's own settings. */
export const REPORTED_CONFIGURATION = z.object({
  command: z.array(TEXT).nullable(),
  entrypoint: z.array(TEXT).nullable(),
  user: z.string().nullable(),
  envNames: z.array(TEXT),
  /** Null where the host keeps the values to itself. */
  env: z.record(z.string(), TEXT).nullable(),
  network: z.string(),
  ports: z.array(
    z.object({
      container: z.int(),
      host: z.int().optional(),
      ip: z.string().optional(),
      protocol: z.enum(['tcp', 'udp']),
    }),
  ),
  mounts: z.array(REPORTED_MOUNT),
  stopTimeoutSeconds: z.int(),
  /** Settings that a workload's configuration has no words for. */
  omitted: z.array(z.string()),
  /** Containers of one service of one project, as Compose names them, are one workload. */
  group: z.object({ project: z.string(), service: z.string() }).nullable(),
});
export type ReportedConfiguration = z.output<typeof REPORTED_CONFIGURATION>;
