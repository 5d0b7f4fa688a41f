import { keySegment } from './key-segment.js';

/** What the keys of a cache begin with: of a partition of a tenant's answers, with their vectors. */
export const cachePrefix = (tenant: string, partition: string): string =>
  `millrace:cache:{${keySegment(tenant)}:${partition}}`;

/** A pattern of Redis for all keys of a tenant's caches. A segment has no character with a meaning in patterns. */
export const cacheKeysOf = (tenant: string): string => `millrace:cache:{${keySegment(tenant)}:*`;
