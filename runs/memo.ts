import type { WebhookTarget } from '../pipelines/run/index.js';

/** The workflow memo of a run: what the gateway needs to describe it later. */
export interface RunMemo {
  readonly tenant: string;
  readonly pipeline: string;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Hash of the request, by the input that the pipeline's schema has made of it: an idempotency key must not be reused with another one. */
  readonly fingerprint: string;
  /** The same of what was sent, which another version of the pipeline sees alike. Absent: an earlier release has started the run. */
  readonly sent?: string;
  /** Receivers of the run's event. */
  readonly webhooks?: readonly WebhookTarget[];
  /** As in its context: names the channel in which its audio is heard while it is made. Absent: an earlier release has started the run. */
  readonly streamTag?: string;
  /** The run that this one resumes. */
  readonly resumedFrom?: string;
}

/** The memo that the gateway wrote; undefined for a workflow that is not a run. */
export function asRunMemo(memo: Record<string, unknown> | undefined): RunMemo | undefined {
  const names = ['tenant', 'pipeline', 'version', 'createdAt', 'fingerprint'] as const;
  return names.every((name) => typeof memo?.[name] === 'string') ? (memo as unknown as RunMemo) : undefined;
}
