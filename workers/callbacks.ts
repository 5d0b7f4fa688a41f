import type { Redis } from 'ioredis';
import type { CallbackPort } from '../activities/connectors/index.js';
import { withoutSlash } from '../runtime/without-slash.js';
import { CALLBACK_PATH, RedisCallbacks } from '../stores/callbacks/index.js';
import type { Settings } from './settings.js';

/** A job that takes longer is asked for as if it had no callback. */
const KEPT_MS = 24 * 3_600_000;

/** Addresses of the gateway for servers of jobs. Undefined without `MILLRACE_PUBLIC_URL`: nobody knows how they reach it. */
export function callbackPort(
  { MILLRACE_PUBLIC_URL: base }: Pick<Settings, 'MILLRACE_PUBLIC_URL'>,
  redis: Pick<Redis, 'set' | 'get' | 'del'>,
): CallbackPort | undefined {
  if (base === undefined) return undefined;
  const callbacks = new RedisCallbacks(redis);
  return {
    async open() {
      const token = await callbacks.open(KEPT_MS);
      return { token, url: `${withoutSlash(base)}${CALLBACK_PATH}/${token}` };
    },
    arrived: (token) => callbacks.arrived(token),
    close: (token) => callbacks.close(token),
  };
}
