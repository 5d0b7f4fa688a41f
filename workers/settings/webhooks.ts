import { z } from 'zod';

/** Webhooks: must be equal for gateway and workers. */
export const WEBHOOK_SETTINGS = {
  MILLRACE_WEBHOOKS: z
    .string()
    .optional()
    .describe('JSON file with each tenant’s webhook secrets and endpoints; default: none, webhooks are off.'),
  MILLRACE_WEBHOOK_PRIVATE_TARGETS: z
    .enum(['refuse', 'allow'])
    .default('refuse')
    .describe(
      'Whether webhooks may be sent to plain http and to addresses that are not public. By default they may not, so that callers cannot reach your own network through Millrace.',
    ),
};
