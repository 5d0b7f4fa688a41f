import { endpointsOf, LOOPBACK } from '../../../workers/endpoints.js';
import type { Settings } from '../../../workers/settings.js';
import type { PartName } from './part-spec.js';

/** The address at which clients reach a part. */
export function addressOf(part: PartName, settings: Settings): string {
  const { temporal, redis, redisIndex, redisCache, triton, llm } = endpointsOf(settings);
  const addresses: Record<PartName, string> = {
    temporal,
    redis,
    'redis-index': redisIndex,
    'redis-cache': redisCache,
    triton: triton.join(', '),
    llm: llm.join(', '),
    worker: `http://${LOOPBACK}:${settings.MILLRACE_WORKER_METRICS_PORT}`,
    gateway: `http://${settings.MILLRACE_GATEWAY_HOST}:${settings.MILLRACE_GATEWAY_PORT}`,
  };
  return withoutPassword(addresses[part]);
}

/** Up to the last `@` before the path: a password may have one, as for the clients. */
const withoutPassword = (address: string): string => address.replace(/\/\/[^/\s]*@/g, '//');
