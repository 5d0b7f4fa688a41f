import type { Connector } from '../activities/connectors/index.js';
import { Pools, type PoolsParts } from '../activities/pools/index.js';
import { connectorsOf } from './connectors.js';
import { discoverySettings } from './discovery.js';
import { loadModels } from './models.js';
import type { Settings } from './settings.js';

/**
 * The pools of the models, for a worker or for one command, which closes them. Throws `INVALID_SETTING`.
 * @param outside connectors besides Millrace's own; default: those of the configuration
 */
export const openPools = async (
  settings: Settings,
  parts: Pick<PoolsParts, 'metrics' | 'logger' | 'redis'>,
  outside?: readonly Connector[],
): Promise<Pools> =>
  new Pools({
    ...parts,
    models: await loadModels(settings),
    connectors: connectorsOf(settings, outside),
    canaryIntervalMs: settings.MILLRACE_CANARY_INTERVAL_MS,
    discovery: discoverySettings(settings),
    zone: settings.MILLRACE_ZONE,
  });
