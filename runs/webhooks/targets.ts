import { targetFault, type WebhookConfig } from '../../activities/webhooks/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { WebhookTarget } from '../../pipelines/run/index.js';

interface TargetScope {
  readonly tenant: string;
  /** The pipeline's name. */
  readonly pipeline: string;
  /** The URL that the request names. */
  readonly webhook?: string | undefined;
}

/**
 * The receivers of a run's event: the tenant's endpoints for this pipeline, and the URL of the request. Throws `INVALID_INPUT` for a
 * tenant without signing secrets, and `WEBHOOK_REFUSED` for a URL that is not allowed.
 */
export function webhookTargets(
  config: WebhookConfig | undefined,
  { tenant, pipeline, webhook }: TargetScope,
): readonly WebhookTarget[] {
  const { endpoints = {} } = config?.of(tenant) ?? {};
  const configured = Object.entries(endpoints)
    .filter(([, { pipelines }]) => pipelines?.includes(pipeline) ?? true)
    .map(([endpoint, { events }]) => ({ endpoint, ...(events && { events }) }));
  if (webhook === undefined) return configured;
  if (!config || !signs(config, tenant)) {
    const message = `the tenant "${tenant}" has no webhook secrets (MILLRACE_WEBHOOKS), so nothing could be signed`;
    throw new MillraceError('INVALID_INPUT', `webhook: ${message}`, { fields: [{ field: 'webhook', message }] });
  }
  expectTarget(config, webhook, 'webhook');
  return [...configured, { url: webhook }];
}

/** Whether requests to URLs that a tenant's callers name can be signed; otherwise none are made. */
export const signs = (config: WebhookConfig | undefined, tenant: string): boolean =>
  config?.of(tenant).secrets !== undefined;

/** Throws `WEBHOOK_REFUSED` naming the field for a URL that is not allowed. */
export function expectTarget(config: WebhookConfig, url: string, field: string): void {
  const message = targetFault(url, config.allowPrivate);
  if (message !== undefined)
    throw new MillraceError('WEBHOOK_REFUSED', `${field}: ${message}`, { fields: [{ field, message }] });
}
