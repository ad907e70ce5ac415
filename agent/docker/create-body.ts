/**
 * From a ContainerSpec to the body of Docker's "create" call.
 *
 * Binds are given as `HostConfig.Mounts`, never as `Binds`: with those, Docker would create a missing source as an empty
 * directory, and a container would run on it.
 */
import type { ContainerSpec } from './engine.ts';

export function createBody(spec: ContainerSpec): object {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of spec.ports) {
    const key = `${port.container}/${port.protocol ?? 'tcp'}`;
    exposed[key] = {};
    const list = bindings[key] ?? [];
    list.push({ HostIp: port.ip ?? '', HostPort: port.host === undefined ? '' : String(port.host) });
    bindings[key] = list;
  }
  return {
    Image: spec.image,
    ...(spec.command === undefined ? {} : { Cmd: spec.command }),
    ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: spec.labels,
    StopTimeout: spec.stopTimeoutSeconds,
    ExposedPorts: exposed,
    HostConfig: {
      NetworkMode: spec.network,
      PortBindings: bindings,
      RestartPolicy: dockerPolicy(spec.restartPolicy),
      Mounts: spec.mounts.map((mount) => ({
        Type: mount.type,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        ...(mount.type === 'tmpfs' ? {} : { Source: mount.source }),
      })),
    },
  };
}

/** Docker takes an empty name for "leave it as it is", and refuses a count with any policy but `on-failure`. */
export function dockerPolicy(policy: ContainerSpec['restartPolicy']): { Name: string; MaximumRetryCount: number } {
  const name = policy.name === '' ? 'no' : policy.name;
  return { Name: name, MaximumRetryCount: name === 'on-failure' ? policy.maximumRetryCount : 0 };
}
