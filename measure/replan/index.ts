import type { Client, Connection } from '@temporalio/client';
import { type Measured, promisesOf } from '../../placement/replan/index.js';
import { measureRuns, type RunsOptions } from './runs.js';
import { measureServers, type ServersOptions } from './servers.js';

export { type Missing, missingOf } from './missing.js';

export interface MeasureOptions extends Omit<ServersOptions, 'connection'>, Omit<RunsOptions, 'promises' | 'until'> {
  readonly client: Client;
}

/**
 * Measures the active placement: runs and stages from Temporal, call times and lost devices from the servers. A server
 * without statistics that batches continuously starts a call at once: its stages' run time is used as service time.
 */
export async function measure({ client, ...options }: MeasureOptions): Promise<Measured> {
  const connection = client.connection as Connection;
  const servers = await measureServers({ ...options, connection });
  const of = { ...options, until: new Date(), promises: promisesOf(options.placement) };
  const { models, ...runs } = await measureRuns(client, of);
  const continuous = new Set(
    options.placement.pools.flatMap(({ model, batching }) => (batching === 'continuous' ? [model] : [])),
  );
  const seen = Object.entries(models).filter(([model]) => continuous.has(model));
  return {
    ...runs,
    services: { ...Object.fromEntries(seen), ...servers.services },
    lost: servers.lost,
  };
}
