import { ApplicationFailure, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { MillraceError } from '../../pipelines/errors.js';
import type { AttemptOutcome, WebhookActivities, WebhookEvent, WebhookTarget } from '../../pipelines/run/index.js';
import { limited } from '../../runtime/limited.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { retryAfterMs } from '../connectors/retry-after.js';
import type { WebhookConfig } from './config.js';
import { Crowd } from './crowd.js';
import { RefusedTarget, send } from './send.js';
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
  readonly metrics: Pick<Metrics, 'webhookAttempts'>;
  readonly logger: Logger;
}

/**
 * The activities of deliveries. A target's failure is an outcome; only a failure on this side is thrown, and Temporal
 * retries it.
 */
export function createWebhookActivities({ config, eventOf, metrics, logger }: WebhookDeps): WebhookActivities {
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

    async webhookAttempt(tenant, target, event) {
      const context = Context.current();
      const beating = setInterval(() => context.heartbeat(), BEAT_MS);
      try {
        const receiver = receiverOf(config, tenant, target);
        const host = receiver.url === undefined ? '' : new URL(receiver.url).host;
        const attempt = () => attemptAt(receiver, event, config.allowPrivate, context.cancellationSignal);
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

interface Receiver {
  readonly url?: string;
  readonly secrets: readonly string[];
}

/** The target's current URL and secrets: a corrected configuration applies from the next attempt. */
function receiverOf(config: WebhookConfig, tenant: string, target: WebhookTarget): Receiver {
  const { secrets = [], endpoints = {} } = config.of(tenant);
  if ('url' in target) return { url: target.url, secrets };
  const endpoint = Object.hasOwn(endpoints, target.endpoint) ? endpoints[target.endpoint] : undefined;
  return endpoint === undefined ? { secrets } : { url: endpoint.url, secrets: endpoint.secrets ?? secrets };
}

async function attemptAt(
  { url, secrets }: Receiver,
  event: WebhookEvent,
  allowPrivate: boolean,
  cancelled: AbortSignal,
): Promise<AttemptOutcome> {
  // This worker's configuration differs from the gateway's: it may be corrected before the last attempt.
  if (url === undefined) return { outcome: 'failed', reason: 'the endpoint is not configured' };
  if (secrets.length === 0) return { outcome: 'failed', reason: 'the tenant has no secrets configured' };
  const { id, ...payload } = event;
  const body = JSON.stringify(payload);
  const headers = {
    'content-type': 'application/json',
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
