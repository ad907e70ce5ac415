/**
 * One number for everything in a configuration that shapes a container. Two containers with the same one differ at most in
 * their image, which is compared by its id.
 */
import { createHash } from 'node:crypto';
import { canonicalConfig, type WorkloadConfig } from '../../db/workload.ts';

/**
 * SHA-256, hex, of the canonical configuration.
 *
 * Left out is what changes no container, so that changing it restarts nothing: how many there are, how their health is
 * judged, hooks and the kind of freeze. The image is left out too: what counts is the id that the reference stood for when
 * the container was created, and a deploy may name another reference than the configuration does.
 */
export function specHash(config: WorkloadConfig): string {
  const shaping: WorkloadConfig = {
    ...config,
    image: '-',
    replicas: 1,
    health: { graceSeconds: 0, timeoutSeconds: 1 },
    hooks: {},
    capture: { freeze: 'pause' },
    adopted: undefined,
    // Whether others may mount a volume too is a rule for us, not for the container.
    volumes: config.volumes.map(({ shared: _, ...volume }) => volume),
  };
  return createHash('sha256').update(canonicalConfig(shaping)).digest('hex');
}
