/** What the console knows, and the words that it says it in. */
import type { Role } from '../../../db/roles.ts';
import type { HostAnswer, IntentAnswer, SnapshotAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import type { Dictionary } from '../i18n/en.ts';
import type { Format } from './format.ts';
import type { LiveIntent } from './live.ts';

export interface Session {
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Names of the projects that it is limited to. */
  readonly projects: readonly string[] | null;
  readonly person: {
    readonly role: Role;
    /** `oidc`: proofs are given at the issuer. */
    readonly managedBy: 'admin' | 'oidc';
    readonly proof: { readonly kind: 'link' | 'passkey' | 'oidc' };
  } | null;
}

/** What a page beside the one of workloads is drawn with. */
export interface PageContext {
  readonly t: Dictionary;
  readonly f: Format;
  readonly session: Session;
  readonly app: HTMLElement;
  notify(thrown: unknown): void;
}

export interface Model {
  readonly t: Dictionary;
  readonly f: Format;
  session: Session;
  hosts: readonly HostAnswer[];
  workloads: readonly WorkloadAnswer[];
  filter: string;
  /** The workload that is shown; its snapshots and intents are loaded for it alone. */
  selected: WorkloadAnswer | undefined;
  snapshots: readonly SnapshotAnswer[];
  /** Newest first, without plans. */
  intents: readonly IntentAnswer[];
  /** The intent that the activity panel follows. */
  live: LiveIntent | undefined;
}

/** What a click asks for. */
export interface Actions {
  restore(workload: WorkloadAnswer, snapshot: SnapshotAnswer): void;
  undo(workload: WorkloadAnswer, intent: IntentAnswer): void;
  capture(workload: WorkloadAnswer): void;
  deploy(workload: WorkloadAnswer): void;
  cancel(intent: IntentAnswer): void;
}

/** Whether the signed-in person may do it; the server decides again. */
export function may(model: Pick<Model, 'session'>, scope: string): boolean {
  return model.session.scopes.includes(scope);
}

/** The newest restore or undo that succeeded: the only one that can be taken back. */
export function undoable(intents: readonly IntentAnswer[]): IntentAnswer | undefined {
  return intents.find(
    (intent) => (intent.kind === 'restore' || intent.kind === 'undo') && intent.state === 'succeeded',
  );
}
