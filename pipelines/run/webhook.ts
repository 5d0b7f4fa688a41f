import type { Json, JsonObject } from '../json.js';

/** A receiver that is known when its run starts: a tenant's endpoint configured by the operator, or a URL given in a request. Without `events`: all. */
export type NamedTarget =
  | { readonly endpoint: string; readonly events?: readonly WebhookType[] | undefined }
  | { readonly url: string };

/** Receivers of a run's events; `subscriptions`: also those that have subscribed to the run until an event is sent. */
export type WebhookTarget = NamedTarget | { readonly subscriptions: true };

/** A receiver that has subscribed to a run. What is sent, and its credentials, are in the state store. */
export interface Subscriber {
  readonly run: string;
  /** The subscription's id, which is unique for its owner. */
  readonly subscription: string;
  readonly owner?: string | undefined;
  /** Of its URL. */
  readonly host: string;
}

/** One receiver, which has its own attempts. */
export type WebhookReceiver = NamedTarget | Subscriber;

export const WEBHOOK_TYPES = ['run.succeeded', 'run.failed', 'run.cancelled', 'run.waiting'] as const;
export type WebhookType = (typeof WEBHOOK_TYPES)[number];

/** The event sent when a run has ended, or waits for a person; every attempt sends the same bytes. */
export interface WebhookEvent {
  /** Header `webhook-id`: unique per run or wait, so that a receiver can drop duplicates. */
  readonly id: string;
  readonly type: WebhookType;
  /** When the run ended, or the wait began: ISO 8601, UTC. */
  readonly timestamp: string;
  /** The run's document without `input` and `stages`; of a wait the part that the run's start has, with `waiting`. */
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
 * Result of one attempt. `refused` is final; `busy`: no attempt was made, too many were in progress to the same target; `unsubscribed`: none
 * was made, the subscription is gone.
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
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'unsubscribed' };

/** State of an event at one target. */
export interface Delivery {
  /** The endpoint's name, or the URL's host. */
  readonly target: string;
  readonly state: 'waiting' | 'delivered' | 'undelivered' | 'unsubscribed';
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
  webhookAttempt(tenant: string, receiver: WebhookReceiver, event: WebhookEvent): Promise<AttemptOutcome>;
  /** Who has subscribed to a tenant's run; `waits`: of these, who is told of its waits too. */
  webhookSubscribers(tenant: string, run: string, of: 'all' | 'waits'): Promise<readonly Subscriber[]>;
  /** Removes all subscriptions to a run whose end has been sent. */
  webhookUnsubscribe(tenant: string, run: string): Promise<void>;
}

/** Type of the delivery workflow. Pipelines and stages cannot have this name, because theirs are in lower case. */
export const WEBHOOK_WORKFLOW = 'webhookDelivery';

/** Id of the workflow that delivers a run's end. Ids of runs contain no slash. */
export const deliveryId = (run: string): string => `webhook/${run}`;
export const runOfDelivery = (id: string): string => id.slice('webhook/'.length);

/** Id of the workflow that delivers a run's end again. */
export const replayId = (run: string): string => `${deliveryId(run)}/replay`;

/** Signal to the delivery of a run: a wait for a person has begun, in the run or in a child run. Argument: `Wait`. */
export const WAITING_SIGNAL = 'waiting';

/** Signal to the delivery of a run: the run is to be cancelled, also if the delivery has not started it yet. */
export const CANCEL_SIGNAL = 'cancel-run';

/** Field of a delivery's memo: when its run was cancelled, which it then never starts. ISO 8601, UTC. */
export const CANCELLED_MEMO = 'cancelledAt';

/** Error of a run that was cancelled. */
export const CANCELLED_UNSTARTED = {
  code: 'RUN_CANCELLED',
  message: 'the run was cancelled before a worker had started it',
} as const;

/** Task queue of delivery attempts, separate so that deliveries and runs do not delay each other. */
export const webhookQueue = (taskQueue: string): string => `${taskQueue}.webhooks`;
