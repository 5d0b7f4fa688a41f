import type { Json, JsonObject } from '../json.js';

/** Where an event goes: an endpoint of the tenant's that the operator has configured, by its name, or a URL that a request named. */
export type WebhookTarget = { readonly endpoint: string } | { readonly url: string };

/** What is told of a run that has ended; every attempt sends the same bytes of it. */
export interface WebhookEvent {
  /** Header `webhook-id`: one for each run, so that a receiver can drop what it has seen. */
  readonly id: string;
  readonly type: 'run.succeeded' | 'run.failed' | 'run.cancelled';
  /** When the run ended: ISO 8601, UTC. */
  readonly timestamp: string;
  /** The run's document without `input` and `stages`. */
  readonly data: JsonObject;
}

/** A run that a delivery starts as its child: Temporal then tells it of the run's end, whatever ended it. */
export interface RunToStart {
  readonly id: string;
  readonly pipeline: string;
  readonly version: string;
  /** Arguments of the run's workflow. */
  readonly args: readonly [input: JsonObject, context: Json];
  readonly memo: JsonObject;
  /** After which Temporal itself ends the run, in milliseconds. */
  readonly timeoutMs: number;
  /** What the Temporal UI says of the run. */
  readonly summary: string;
  readonly details?: string;
  readonly priorityKey?: number;
}

/** Argument of the workflow that delivers. */
export interface WebhookOrder {
  readonly tenant: string;
  readonly targets: readonly WebhookTarget[];
  /** Task queue of the attempts. */
  readonly queue: string;
  /** What is told: how this run ends, or an event again. */
  readonly of: { readonly run: RunToStart } | { readonly event: WebhookEvent };
}

/** What one attempt came to. `refused` is for good; `busy` was none: too many were on their way to the same place. */
export type AttemptOutcome =
  | { readonly outcome: 'delivered'; readonly status: number }
  | {
      readonly outcome: 'failed';
      readonly reason: string;
      readonly status?: number;
      /** The target asked to be left alone for this long, in milliseconds. */
      readonly retryAfterMs?: number;
    }
  | { readonly outcome: 'refused'; readonly reason: string; readonly status?: number }
  | { readonly outcome: 'busy' };

/** What became of an event at one target. */
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
  /** How a run of the tenant has ended. */
  webhookEvent(tenant: string, run: string): Promise<WebhookEvent>;
  webhookAttempt(tenant: string, target: WebhookTarget, event: WebhookEvent): Promise<AttemptOutcome>;
}

/** Type of the workflow that delivers. No pipeline can have this name, nor a stage that of an activity: theirs are in lower case. */
export const WEBHOOK_WORKFLOW = 'webhookDelivery';

/** Id of the workflow that delivers the end of a run. No run has it: theirs are without a slash. */
export const deliveryId = (run: string): string => `webhook/${run}`;

/** The task queue of the attempts: they must not stand in the way of runs, nor these in theirs. */
export const webhookQueue = (taskQueue: string): string => `${taskQueue}.webhooks`;
