import type { Logger } from 'pino';
import { WebhookConfig } from '../activities/webhooks/index.js';
import type { Settings } from './settings.js';

/** The receivers of webhooks that the settings name. */
export const openWebhooks = (settings: Settings, logger: Logger): WebhookConfig =>
  new WebhookConfig(settings.MILLRACE_WEBHOOKS, {
    allowPrivate: settings.MILLRACE_WEBHOOK_PRIVATE_TARGETS === 'allow',
    logger,
  });
