import type { Redis } from 'ioredis';

/** A connection to Redis on which a script is carried out, and its reply lost. @param which 1: the first one */
export function losingReply(redis: Redis, which = 1): Redis {
  let count = 0;
  return new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (typeof name !== 'string' || !/^script\d+$/.test(name)) return value.bind(target) as unknown;
      return async (...given: readonly unknown[]) => {
        const reply: unknown = await value.apply(target, given);
        count += 1;
        if (count !== which) return reply;
        throw new Error('Command timed out');
      };
    },
  });
}
