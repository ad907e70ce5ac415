/**
 * From a volume of a workload's current configuration to the directory on this host.
 *
 * Guarantees: the returned path is real (no component is a symbolic link), absolute, and lies below the base that this
 * host's own configuration sets for the scope; nothing outside that base is ever returned.
 * Does not guarantee: that it stays so, for those who may write above that directory. Below it holder.ts follows no link.
 */
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { isSupportedScope } from '../../db/scopes.ts';
import { sourceProblem, type VolumeConfig } from '../../db/workload.ts';
import type { AgentConfig } from '../config.ts';
import type { Engine } from '../docker/engine.ts';

export interface VolumeTarget {
  readonly name: string;
  readonly scope: VolumeConfig['scope'];
  readonly source: string;
  /** Path inside the containers. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly shared: boolean;
  /** The live directory on this host. */
  readonly live: string;
  readonly exists: boolean;
}

export interface VolumeHost {
  readonly config: Pick<AgentConfig, 'allowedRoots' | 'volumeBase'> &
    Partial<Pick<AgentConfig, 'stateDir' | 'allowedVolumes'>>;
  readonly engine: Pick<Engine, 'volume'>;
}

/**
 * Resolves one volume.
 * @throws RefloatError `SCOPE_UNSUPPORTED`, `SOURCE_INVALID`, `SOURCE_OUTSIDE_ROOTS`, `SOURCE_ESCAPES_BASE`,
 *   `SOURCE_NOT_DIRECTORY`, `SOURCE_MISSING` (a Docker volume that is not there)
 */
export async function resolveVolume(
  host: VolumeHost,
  workload: { readonly project: string; readonly stage: string },
  volume: VolumeConfig,
): Promise<VolumeTarget> {
  const target = await resolveInBase(host, workload, volume);
  // A private engine keeps its volumes below the state directory; where a Docker volume lies is Docker's to say.
  if (host.config.stateDir === undefined || volume.scope === 'named') return target;
  const stateDir = await realpathOrSelf(host.config.stateDir);
  const { live } = target;
  if (!overlap(live, stateDir)) return target;
  throw new RefloatError(
    'SOURCE_OUTSIDE_ROOTS',
    `volume "${volume.name}": ${live} holds the state of the agent itself`,
    {
      hint: 'Journals and snapshots are no workload’s: choose another directory.',
      details: { volume: volume.name },
    },
  );
}

async function resolveInBase(
  host: VolumeHost,
  workload: { readonly project: string; readonly stage: string },
  volume: VolumeConfig,
): Promise<VolumeTarget> {
  const details = { volume: volume.name };
  if (!isSupportedScope(volume.scope)) {
    throw new RefloatError(
      'SCOPE_UNSUPPORTED',
      `volume "${volume.name}" has scope ${volume.scope}, which cannot be captured or restored`,
      {
        hint: 'Give the volume the scope absolute, project, stage or named, or leave it out.',
        details,
      },
    );
  }
  const problem = sourceProblem(volume.scope, volume.source);
  if (problem !== undefined) {
    throw new RefloatError('SOURCE_INVALID', `volume "${volume.name}": its source ${problem}`, {
      hint: "Correct the source in the workload's configuration.",
      details,
    });
  }
  const found = (live: string, exists: boolean): VolumeTarget => ({
    name: volume.name,
    scope: volume.scope,
    source: volume.source,
    target: volume.target,
    readOnly: volume.readOnly,
    shared: volume.shared === true,
    live,
    exists,
  });
  switch (volume.scope) {
    case 'absolute': {
      const live = await realDirectory(volume.source, volume.name);
      for (const root of host.config.allowedRoots) {
        if (isInside(await realpathOrSelf(root), live.path)) return found(live.path, live.exists);
      }
      throw new RefloatError(
        'SOURCE_OUTSIDE_ROOTS',
        `volume "${volume.name}": ${live.path} is in none of this host's allowed roots`,
        {
          hint: 'Add its parent directory to REFLOAT_ALLOWED_ROOTS on the host, if restores may write there.',
          details,
        },
      );
    }
    case 'project':
    case 'stage': {
      const below = volume.scope === 'project' ? [workload.project] : [workload.project, workload.stage];
      const base = join(await realpathOrSelf(host.config.volumeBase), ...below);
      const live = await realDirectory(join(base, volume.source), volume.name);
      if (!isInside(base, live.path)) {
        throw new RefloatError(
          'SOURCE_ESCAPES_BASE',
          `volume "${volume.name}": a symbolic link leads out of ${base} to ${live.path}`,
          {
            hint: 'Replace the symbolic link by a directory, or use scope absolute with an allowed root.',
            details,
          },
        );
      }
      return found(live.path, live.exists);
    }
    case 'named': {
      requireAllowedVolume(host.config.allowedVolumes ?? null, volume);
      const reported = await host.engine.volume(volume.source);
      if (reported === null) {
        throw new RefloatError('SOURCE_MISSING', `volume "${volume.name}": Docker has no volume "${volume.source}"`, {
          hint: 'Deploy the workload once, or create the volume with "docker volume create".',
          details,
        });
      }
      if (reported.driver !== 'local' || Object.keys(reported.options).length > 0) {
        throw new RefloatError(
          'SCOPE_UNSUPPORTED',
          `volume "${volume.name}": the Docker volume "${volume.source}" is a mount of something else (driver ${reported.driver})`,
          {
            hint: 'Only local Docker volumes without driver options can be captured and restored.',
            details,
          },
        );
      }
      const live = await realDirectory(reported.mountPoint, volume.name);
      return found(live.path, live.exists);
    }
    default:
      return volume.scope satisfies never;
  }
}

/** @throws RefloatError `SOURCE_OUTSIDE_ROOTS` */
export function requireAllowedVolume(allowed: readonly string[] | null, volume: VolumeConfig): void {
  const isAllowed = (pattern: string): boolean =>
    new RegExp(`^${pattern.replaceAll(/[\\^$.+?()[\]{}|]/g, '\\$&').replaceAll('*', '.*')}$`, 's').test(volume.source);
  if (allowed === null || allowed.some(isAllowed)) return;
  throw new RefloatError(
    'SOURCE_OUTSIDE_ROOTS',
    `volume "${volume.name}": the Docker volume "${volume.source}" is none that this host allows`,
    {
      hint: 'Add it to REFLOAT_ALLOWED_VOLUMES on the host, if workloads may use it.',
      details: { volume: volume.name },
    },
  );
}

/** True if `path` lies strictly below `base`; both absolute and normalized. */
export function isInside(base: string, path: string): boolean {
  return path.startsWith(base === '/' ? '/' : `${base}/`) && path !== base;
}

/** True if two paths, absolute and normalized, are one or lie in one another. */
export function overlap(a: string, b: string): boolean {
  return a === b || isInside(a, b) || isInside(b, a);
}

/** Resolves symbolic links of what exists of a path; the rest, below it, is kept as it is. */
async function realDirectory(path: string, volume: string): Promise<{ path: string; exists: boolean }> {
  const stat = await lstat(path).catch(missing);
  if (stat === undefined) {
    const parent = dirname(path);
    if (parent === path) return { path, exists: false };
    const above = await realDirectory(parent, volume);
    return { path: join(above.path, path.slice(parent === '/' ? 1 : parent.length + 1)), exists: false };
  }
  const real = await realpath(path).catch((cause: unknown) => {
    throw new RefloatError('SOURCE_ESCAPES_BASE', `volume "${volume}": the symbolic link ${path} leads nowhere`, {
      hint: 'Remove the dangling symbolic link, or create the directory that it names.',
      details: { volume },
      cause,
    });
  });
  if (!(await lstat(real)).isDirectory()) {
    throw new RefloatError('SOURCE_NOT_DIRECTORY', `volume "${volume}": ${real} is not a directory`, {
      hint: 'A volume must be a directory; single files cannot be captured or restored.',
      details: { volume },
    });
  }
  return { path: real, exists: true };
}

async function realpathOrSelf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw new RefloatError('SOURCE_INVALID', `${error.path ?? 'the source'} cannot be looked at (${error.code})`, {
    hint: "Correct the source in the workload's configuration, or the rights on the host.",
    cause: error,
  });
}
