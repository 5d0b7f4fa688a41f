import { ApplicationFailure, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { MillraceError } from '../../pipelines/errors.js';
import type { AttemptOutcome, WebhookActivities, WebhookEvent, WebhookReceiver } from '../../pipelines/run/index.js';
import { limited } from '../../runtime/limited.js';
import type { Subscription, Subscriptions } from '../../stores/subscriptions/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { retryAfterMs } from '../connectors/retry-after.js';
import type { WebhookConfig } from './config.js';
import { Crowd } from './crowd.js';
import { RefusedTarget } from './public-lookup.js';
import { send } from './send.js';
import { signedHeaders } from './signature.js';

/**
 * Longest attempt, DNS look-up included, in milliseconds: the minimum that the Standard Webhooks specification
 * recommends.
 */
const ATTEMPT_MS = 15_000;
/** A fifth of the heartbeat timeout. */
const BEAT_MS = 1_000;

export interface WebhookDeps {
  readonly config: WebhookConfig;
  /** How a run of a tenant has ended. Throws `RUN_NOT_FOUND`. */
  readonly eventOf: (tenant: string, run: string) => Promise<WebhookEvent>;
  /** Throw `STORE_UNAVAILABLE`. */
  readonly subscriptions: Pick<Subscriptions, 'list' | 'erase'>;
  /** Writes an event as the door of a subscription does. The same bytes in each attempt. */
  readonly notificationOf: (tenant: string, subscription: Subscription, event: WebhookEvent) => Promise<Notification>;
  readonly metrics: Pick<Metrics, 'webhookAttempts'>;
  readonly logger: Logger;
}

/** What an attempt sends. */
interface Notification {
  readonly body: string;
  /** In lower case, with `content-type`. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The activities of deliveries. A target's failure is an outcome; only a failure on this side is thrown, and Temporal
 * retries it.
 */
export function createWebhookActivities(deps: WebhookDeps): WebhookActivities {
  const { config, eventOf, subscriptions, metrics, logger } = deps;
  const crowd = new Crowd();
  return {
    async webhookEvent(tenant, run) {
      try {
        return await eventOf(tenant, run);
      } catch (error) {
        const final = error instanceof MillraceError && error.code === 'RUN_NOT_FOUND';
        throw final ? ApplicationFailure.nonRetryable(error.message, error.code) : error;
      }
    },

    async webhookSubscribers(tenant, run, of) {
      const all = await subscriptions.list({ tenant, run });
      const told = of === 'all' ? all : all.filter(({ waits }) => waits);
      return told.map(({ id, owner, url }) => ({
        run,
        subscription: id,
        ...(owner !== undefined && { owner }),
        host: new URL(url).host,
      }));
    },

    webhookUnsubscribe: async (tenant, run) => await subscriptions.erase({ tenant, run }),

    async webhookAttempt(tenant, receiver, event) {
      const context = Context.current();
      const beating = setInterval(() => context.heartbeat(), BEAT_MS);
      try {
        const address = await addressOf(deps, tenant, receiver, event);
        if (address === undefined) return { outcome: 'unsubscribed' };
        const host = address.url === undefined ? '' : new URL(address.url).host;
        const attempt = () => attemptAt(address, event.id, config.allowPrivate, context.cancellationSignal);
        const outcome = (await crowd.within(tenant, host, attempt)) ?? { outcome: 'busy' as const };
        if (context.cancellationSignal.aborted) throw new CancelledFailure('the delivery was cancelled');
        metrics.webhookAttempts.inc({ outcome: outcome.outcome });
        if (outcome.outcome === 'failed' || outcome.outcome === 'refused')
          logger.warn({ event: event.id, tenant, host, ...outcome }, 'webhook not delivered');
        return outcome;
      } finally {
        clearInterval(beating);
      }
    },
  };
}

interface Address extends Notification {
  readonly url?: string;
  readonly secrets: readonly string[];
}

/**
 * A receiver's current URL and secrets, with what it gets: a corrected configuration applies from the next attempt. Undefined if its subscription is gone.
 */
async function addressOf(
  { config, subscriptions, notificationOf }: WebhookDeps,
  tenant: string,
  receiver: WebhookReceiver,
  event: WebhookEvent,
): Promise<Address | undefined> {
  const { secrets = [], endpoints = {} } = config.of(tenant);
  if ('subscription' in receiver) {
    const { run, subscription, owner } = receiver;
    const all = await subscriptions.list({ tenant, run });
    const found = all.find((each) => each.id === subscription && each.owner === owner);
    return found && { url: found.url, secrets, ...(await notificationOf(tenant, found, event)) };
  }
  const { id: _, ...payload } = event;
  const sent = { body: JSON.stringify(payload), headers: { 'content-type': 'application/json' } };
  if ('url' in receiver) return { url: receiver.url, secrets, ...sent };
  const endpoint = Object.hasOwn(endpoints, receiver.endpoint) ? endpoints[receiver.endpoint] : undefined;
  return endpoint ? { url: endpoint.url, secrets: endpoint.secrets ?? secrets, ...sent } : { secrets, ...sent };
}

async function attemptAt(
  { url, secrets, body, headers: own }: Address,
  id: string,
  allowPrivate: boolean,
  cancelled: AbortSignal,
): Promise<AttemptOutcome> {
  // This worker's configuration differs from the gateway's: it may be corrected before the last attempt.
  if (url === undefined) return { outcome: 'failed', reason: 'the endpoint is not configured' };
  if (secrets.length === 0) return { outcome: 'failed', reason: 'the tenant has no secrets configured' };
  const headers = {
    ...own,
    'user-agent': 'Millrace-Webhooks',
    ...signedHeaders(secrets, { id, body, now: new Date() }),
  };
  try {
    const answer = await limited(ATTEMPT_MS, cancelled, (signal) => send(url, { body, headers, allowPrivate, signal }));
    return outcomeOf(answer.status, answer.retryAfter);
  } catch (error) {
    if (error instanceof RefusedTarget) return { outcome: 'refused', reason: error.message };
    return { outcome: 'failed', reason: reasonOf(error) };
  }
}

/** Outcome of a status by the specification: 2xx is delivered, 410 means "never again", all others may change. */
function outcomeOf(status: number, retryAfter: string | undefined): AttemptOutcome {
  if (status >= 200 && status < 300) return { outcome: 'delivered', status };
  if (status === 410) return { outcome: 'refused', status, reason: 'the target is gone (410)' };
  const requestedMs = retryAfterMs(
    { get: (name) => (name === 'retry-after' ? (retryAfter ?? null) : null) },
    Date.now(),
  );
  const reason = status >= 300 && status < 400 ? `a redirect (${status}) is not followed` : `status ${status}`;
  return { outcome: 'failed', status, reason, ...(requestedMs !== undefined && { retryAfterMs: requestedMs }) };
}

/** The kind of a failure, because Node's messages contain addresses. */
function reasonOf(error: unknown): string {
  const { name, code } = error as { name?: string; code?: string };
  if (name === 'TimeoutError') return `no answer within ${ATTEMPT_MS} ms`;
  return code ?? 'the connection failed';
}
