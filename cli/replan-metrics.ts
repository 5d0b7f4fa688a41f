import { Registry } from 'prom-client';
import { messageOf } from '../pipelines/errors.js';
import { figuresOf, type Replanned } from '../placement/replan/index.js';
import { placementMetrics } from '../telemetry/placement-metrics.js';
import { serveMetrics } from '../workers/http-server.js';
import type { Settings } from '../workers/settings.js';
import { wrongOption } from './place-files.js';
import type { Measurement } from './replan-measure.js';

/** A placement, what was measured of it, and what of that has drifted; without it, what had drifted before stays so. */
type Seen = Pick<Measurement, 'placement' | 'measured'> & { readonly found?: Pick<Replanned, 'drift'> };

export interface ReplanMetrics {
  see(measurement: Seen): void;
  close(): void;
}

/**
 * Serves predicted and measured figures to Prometheus, at the host of the worker's metrics. Ready after the first measurement. Throws
 * `INVALID_INPUT` if the port is not available.
 */
export async function serveFigures(
  { MILLRACE_WORKER_METRICS_HOST: host }: Settings,
  port: number,
): Promise<ReplanMetrics> {
  const registry = new Registry();
  const metrics = placementMetrics(registry);
  let isReady = false;
  let drift: Replanned['drift'] = [];
  const server = await serveMetrics(
    { host, port },
    registry,
    () => isReady,
    (error) => wrongOption('--metrics-port', messageOf(error)),
  );
  return {
    see({ placement, measured, found }) {
      isReady = true;
      drift = found?.drift ?? drift;
      metrics.set(figuresOf(placement, measured), drift);
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
