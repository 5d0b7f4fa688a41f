export { WebhookConfig } from './config.js';
export { WEBHOOK_SLOTS } from './crowd.js';
export { targetFault } from './target-url.js';
export { createWebhookActivities } from './webhook-activities.js';
