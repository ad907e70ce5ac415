/** The agent's configuration: environment over `agent.json`. Only this decides where on the host anything may be written. */

export interface AgentConfig {
  readonly stateDir: string;
  /** Scope `absolute` must lie inside one of these; empty: no absolute source is allowed. */
  readonly allowedRoots: readonly string[];
  /** Root of the sources of scope `project` and `stage`. */
  readonly volumeBase: string;
  readonly undoWindowSeconds: number;
  readonly dockerHost: string | undefined;
  /** Undefined until enrolled; `recover`, `pack`, `unpack`, `verify` and `status` do without. */
  readonly databaseUrl: string | undefined;
  readonly hostId: string | undefined;
  readonly logLevel: string;
}
