import { Pools } from '../activities/pools/index.js';
import type { Logger } from '../telemetry/logger.js';
import { createMetrics } from '../telemetry/metrics.js';
import { connectorsOf } from '../workers/connectors.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';

/** The pools of the models, for one command, which closes them. */
export async function openPools(settings: Settings, logger: Logger): Promise<Pools> {
  return new Pools({
    models: await loadModels(settings),
    connectors: connectorsOf(settings),
    metrics: createMetrics(),
    logger,
    canaryIntervalMs: settings.MILLRACE_CANARY_INTERVAL_MS,
  });
}
