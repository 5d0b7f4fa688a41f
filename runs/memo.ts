import type { WebhookTarget } from '../pipelines/run/index.js';

/** What the gateway keeps with a run to answer for it later; Temporal shows it beside the run. */
export interface RunMemo {
  readonly tenant: string;
  readonly pipeline: string;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Hash of what was asked for: an idempotency key stands for one of it. */
  readonly fingerprint: string;
  /** Who is told of the run's end. */
  readonly webhooks?: readonly WebhookTarget[];
  /** The run where this one goes on. */
  readonly resumedFrom?: string;
}

/** A workflow's memo as the gateway wrote it, or undefined for a workflow that is no run. */
export function asRunMemo(memo: Record<string, unknown> | undefined): RunMemo | undefined {
  const names = ['tenant', 'pipeline', 'version', 'createdAt', 'fingerprint'] as const;
  return names.every((name) => typeof memo?.[name] === 'string') ? (memo as unknown as RunMemo) : undefined;
}
