/** What the API answers, as far as the commands and the console read it. Members that a newer server adds are passed on untouched. */
import type { ErrorJson } from '../../../db/errors.ts';
import type { IntentKind, IntentState } from '../../../db/intent-state.ts';
import type { IssuerRule } from '../../../db/issuer-rule.ts';
import type { IntentEvent, IntentResult, Progress, SnapshotKind } from '../../../db/results.ts';
import type { WorkloadConfig } from '../../../db/workload.ts';

export interface HostAnswer {
  readonly id: string;
  readonly name: string;
  readonly agentVersion?: string | null;
  readonly engineVersion?: string | null;
  readonly agentSeenAt?: string | null;
  readonly revokedAt?: string | null;
}

export interface WorkloadAnswer {
  readonly id: string;
  readonly name: string;
  readonly project: string;
  readonly hostId: string;
  readonly version: number;
  readonly config: WorkloadConfig;
  readonly updatedAt: string;
  /** As the agent last reported them. */
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    readonly image: string;
    readonly imageId: string;
    readonly state: string;
    readonly health: string | null;
  }[];
}

export interface SnapshotAnswer {
  readonly id: string;
  readonly workloadId: string;
  readonly intentId: string;
  readonly kind: SnapshotKind;
  readonly image: string;
  readonly imageId: string;
  readonly capturedAt: string;
  readonly protectedUntil: string | null;
  readonly archiveBytes: number;
  readonly contentBytes: number;
  readonly entries: number;
  readonly volumes: readonly {
    readonly name: string;
    readonly archiveBytes: number;
    readonly contentBytes: number;
    readonly entries: number;
  }[];
}

export interface IntentAnswer {
  readonly id: string;
  readonly kind: IntentKind;
  readonly state: IntentState;
  readonly workloadId: string;
  readonly snapshotId: string | null;
  readonly hostId: string;
  readonly undoOf: string | null;
  readonly requestedBy: string;
  readonly createdAt: string;
  readonly claimedAt: string | null;
  readonly finishedAt: string | null;
  readonly committedAt: string | null;
  readonly cancelRequestedAt: string | null;
  readonly step: string | null;
  readonly progress: Progress | null;
  readonly result: IntentResult | null;
  readonly error: (ErrorJson & { readonly step?: string }) | null;
}

export interface TokenAnswer {
  readonly jti: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly workloads: readonly string[] | null;
  readonly projects: readonly string[] | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly revokedAt: string | null;
}

export interface EnrollmentAnswer {
  readonly hostId: string;
  readonly token: string;
  readonly expiresAt: string;
}

export interface IssuerAnswer {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly rules: readonly IssuerRule[];
  readonly createdBy: string;
  readonly createdAt: string;
  readonly keysFetchedAt: string | null;
}

export type EventAnswer = IntentEvent;

/** On the event stream without a number: the latest figures only. */
export type ProgressAnswer = Pick<IntentAnswer, 'state' | 'step' | 'progress'>;
