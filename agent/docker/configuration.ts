/** From what Docker says of a container and of its image to what the container was given beyond the image. */
import { z } from 'zod';

const STRINGS = z.array(z.string()).nullish();
const ANY_LIST = z.array(z.unknown()).nullish();

const IMAGE = z.object({
  Config: z
    .object({
      Env: STRINGS,
      Cmd: STRINGS,
      Entrypoint: STRINGS,
      User: z.string().default(''),
      WorkingDir: z.string().default(''),
      StopSignal: z.string().default(''),
      Labels: z.record(z.string(), z.string()).nullish(),
      Healthcheck: z.unknown().optional(),
    })
    .nullish(),
});

const CONTAINER = z.object({
  Id: z.string(),
  Config: z.object({
    Env: STRINGS,
    Cmd: STRINGS,
    Entrypoint: STRINGS,
    User: z.string().default(''),
    WorkingDir: z.string().default(''),
    Hostname: z.string().default(''),
    Tty: z.boolean().default(false),
    StopSignal: z.string().default(''),
    StopTimeout: z.number().nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    Healthcheck: z.unknown().optional(),
  }),
  HostConfig: z.looseObject({
    NetworkMode: z.string().default('default'),
    PortBindings: z
      .record(
        z.string(),
        z.array(z.object({ HostIp: z.string().default(''), HostPort: z.string().default('') })).nullable(),
      )
      .nullish(),
    Tmpfs: z.record(z.string(), z.string()).nullish(),
    Privileged: z.boolean().default(false),
    CapAdd: STRINGS,
    CapDrop: STRINGS,
    Devices: ANY_LIST,
    SecurityOpt: STRINGS,
    ExtraHosts: STRINGS,
    Dns: STRINGS,
    Links: STRINGS,
    VolumesFrom: STRINGS,
    Ulimits: ANY_LIST,
    Sysctls: z.record(z.string(), z.string()).nullish(),
    ReadonlyRootfs: z.boolean().default(false),
    Init: z.boolean().nullish(),
    PidMode: z.string().default(''),
    IpcMode: z.string().default(''),
    ShmSize: z.number().default(0),
    Memory: z.number().default(0),
    NanoCpus: z.number().default(0),
    CpuShares: z.number().default(0),
    PidsLimit: z.number().nullish(),
  }),
  NetworkSettings: z.object({
    Networks: z.record(z.string(), z.object({ Aliases: STRINGS })).nullish(),
  }),
});

/** Beyond the image's own settings; null where it leaves one to the image. */
export interface ContainerConfiguration {
  readonly command: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | null;
  readonly network: string;
  readonly ports: readonly { container: number; host?: number; ip?: string; protocol: 'tcp' | 'udp' }[];
  readonly stopTimeoutSeconds: number;
  /** Settings that a ContainerSpec has no words for, for people. */
  readonly omitted: readonly string[];
}

/** Docker's own, when a container does not say. */
const DEFAULT_STOP_SECONDS = 10;
const DEFAULT_SHM_BYTES = 67_108_864;

/** @throws ZodError when the answers are not those of a Docker engine */
export function containerConfiguration(container: unknown, image: unknown): ContainerConfiguration {
  const { Id, Config, HostConfig, NetworkSettings } = CONTAINER.parse(container);
  const base = IMAGE.parse(image).Config ?? {
    Env: [],
    Cmd: null,
    Entrypoint: null,
    User: '',
    WorkingDir: '',
    StopSignal: '',
  };
  const ofImage = new Set(base.Env ?? []);
  const env = (Config.Env ?? []).filter((entry) => !ofImage.has(entry)).map((entry) => splitOnce(entry));
  const networks = NetworkSettings.Networks ?? {};
  const network = HostConfig.NetworkMode === 'default' ? 'bridge' : HostConfig.NetworkMode;
  const aliases = (networks[network]?.Aliases ?? []).filter((alias) => !Id.startsWith(alias));
  const labels = Object.keys(Config.Labels ?? {}).filter((name) => base.Labels?.[name] !== Config.Labels?.[name]);
  const omitted: [string, boolean][] = [
    ['privileged', HostConfig.Privileged],
    ['capabilities', some(HostConfig.CapAdd) || some(HostConfig.CapDrop)],
    ['devices', some(HostConfig.Devices)],
    ['security options', some(HostConfig.SecurityOpt)],
    ['extra hosts', some(HostConfig.ExtraHosts)],
    ['DNS servers', some(HostConfig.Dns)],
    ['links', some(HostConfig.Links)],
    ['volumes of other containers', some(HostConfig.VolumesFrom)],
    [
      'resource limits',
      HostConfig.Memory + HostConfig.NanoCpus + HostConfig.CpuShares + (HostConfig.PidsLimit ?? 0) > 0,
    ],
    ['ulimits', some(HostConfig.Ulimits)],
    ['sysctls', Object.keys(HostConfig.Sysctls ?? {}).length > 0],
    ['read-only root', HostConfig.ReadonlyRootfs],
    ['init process', HostConfig.Init === true],
    ['shared namespaces', HostConfig.PidMode !== '' || !['', 'private', 'shareable'].includes(HostConfig.IpcMode)],
    ['size of /dev/shm', HostConfig.ShmSize !== 0 && HostConfig.ShmSize !== DEFAULT_SHM_BYTES],
    ['tmpfs mounts', Object.keys(HostConfig.Tmpfs ?? {}).length > 0],
    ['terminal', Config.Tty],
    ['host name', Config.Hostname !== '' && !Id.startsWith(Config.Hostname) && network !== 'host'],
    ['working directory', Config.WorkingDir !== base.WorkingDir],
    ['stop signal', Config.StopSignal !== base.StopSignal && Config.StopSignal !== 'SIGTERM'],
    ['health check', JSON.stringify(Config.Healthcheck ?? null) !== JSON.stringify(base.Healthcheck ?? null)],
    [`labels (${labels.sort().join(', ')})`, labels.length > 0],
    [`further networks (${Object.keys(networks).join(', ')})`, Object.keys(networks).length > 1],
    [`names in its network (${aliases.join(', ')})`, aliases.length > 0],
  ];
  return {
    command: same(Config.Cmd, base.Cmd) ? null : (Config.Cmd ?? null),
    entrypoint: same(Config.Entrypoint, base.Entrypoint) ? null : (Config.Entrypoint ?? null),
    env: Object.fromEntries(env),
    user: Config.User === base.User ? null : Config.User,
    network,
    ports: Object.entries(HostConfig.PortBindings ?? {}).flatMap(([key, bindings]) => portsOf(key, bindings ?? [])),
    stopTimeoutSeconds: Config.StopTimeout ?? DEFAULT_STOP_SECONDS,
    omitted: omitted.filter(([, is]) => is).map(([name]) => name),
  };
}

function portsOf(
  key: string,
  bindings: readonly { HostIp: string; HostPort: string }[],
): ContainerConfiguration['ports'] {
  const [port, protocol] = key.split('/');
  return bindings.map(({ HostIp, HostPort }) => ({
    container: Number(port),
    ...(HostPort === '' ? {} : { host: Number(HostPort) }),
    ...(HostIp === '' ? {} : { ip: HostIp }),
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  }));
}

function splitOnce(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}

function same(a: readonly string[] | null | undefined, b: readonly string[] | null | undefined): boolean {
  return JSON.stringify(a ?? []) === JSON.stringify(b ?? []);
}

function some(list: readonly unknown[] | null | undefined): boolean {
  return (list ?? []).length > 0;
}
