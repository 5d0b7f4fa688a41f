import type { Json, JsonObject } from '../json.js';

/** Receiver of an event: the name of a tenant's endpoint configured by the operator, or a URL given in a request. */
export type WebhookTarget = { readonly endpoint: string } | { readonly url: string };

/** The event sent when a run has ended; every attempt sends the same bytes. */
export interface WebhookEvent {
  /** Header `webhook-id`: unique per run, so that a receiver can drop duplicates. */
  readonly id: string;
  readonly type: 'run.succeeded' | 'run.failed' | 'run.cancelled';
  /** When the run ended: ISO 8601, UTC. */
  readonly timestamp: string;
  /** The run's document without `input` and `stages`. */
  readonly data: JsonObject;
}

/**
 * A run that a delivery starts as its child: Temporal then notifies the delivery of the run's end, whatever the cause.
 */
export interface RunToStart {
  readonly id: string;
  readonly pipeline: string;
  readonly version: string;
  /** Arguments of the run's workflow. */
  readonly args: readonly [input: JsonObject, context: Json, ...notes: Json[]];
  readonly memo: JsonObject;
  /** Execution timeout in Temporal, in milliseconds. */
  readonly timeoutMs: number;
  /** Description in the Temporal UI. */
  readonly summary: string;
  readonly details?: string;
  readonly priorityKey?: number;
}

/** Argument of the delivery workflow. */
export interface WebhookOrder {
  readonly tenant: string;
  readonly targets: readonly WebhookTarget[];
  /** Task queue of the attempts. */
  readonly queue: string;
  /** What is sent: the end of this run, or an event again. */
  readonly of: { readonly run: RunToStart } | { readonly event: WebhookEvent };
}

/**
 * Result of one attempt. `refused` is final; `busy`: no attempt was made, too many were in progress to the same target.
 */
export type AttemptOutcome =
  | { readonly outcome: 'delivered'; readonly status: number }
  | {
      readonly outcome: 'failed';
      readonly reason: string;
      readonly status?: number;
      /** The target requested this delay before the next attempt, in milliseconds. */
      readonly retryAfterMs?: number;
    }
  | { readonly outcome: 'refused'; readonly reason: string; readonly status?: number }
  | { readonly outcome: 'busy' };

/** State of an event at one target. */
export interface Delivery {
  /** The endpoint's name, or the URL's host. */
  readonly target: string;
  readonly state: 'waiting' | 'delivered' | 'undelivered';
  /** From 0. */
  readonly attempts: number;
  /** Of the last attempt. */
  readonly status?: number;
  readonly reason?: string;
}

/** The activities of a delivery. */
export interface WebhookActivities {
  /** The event for the end of a tenant's run. */
  webhookEvent(tenant: string, run: string): Promise<WebhookEvent>;
  webhookAttempt(tenant: string, target: WebhookTarget, event: WebhookEvent): Promise<AttemptOutcome>;
}

/** Type of the delivery workflow. Pipelines and stages cannot have this name, because theirs are in lower case. */
export const WEBHOOK_WORKFLOW = 'webhookDelivery';

/** Id of the workflow that delivers a run's end. Ids of runs contain no slash. */
export const deliveryId = (run: string): string => `webhook/${run}`;

/** Task queue of delivery attempts, separate so that deliveries and runs do not delay each other. */
export const webhookQueue = (taskQueue: string): string => `${taskQueue}.webhooks`;
