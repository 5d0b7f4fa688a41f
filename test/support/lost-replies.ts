import type { Redis } from 'ioredis';

/** A connection to Redis on which the first script is carried out, and its reply lost. */
export function losingFirstReply(redis: Redis): Redis {
  let lost = false;
  return new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (typeof name !== 'string' || !/^script\d+$/.test(name)) return value.bind(target) as unknown;
      return async (...given: readonly unknown[]) => {
        const reply: unknown = await value.apply(target, given);
        if (lost) return reply;
        lost = true;
        throw new Error('Command timed out');
      };
    },
  });
}
