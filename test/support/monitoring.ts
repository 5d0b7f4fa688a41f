import type { Redis } from 'ioredis';

/**
 * A connection that emits `monitor` for each command of the server. `redis.monitor()` fails if a command arrives together with the answer to
 * MONITOR, since ioredis takes it for an answer too: then another one is opened.
 */
export async function monitoring(redis: Redis): Promise<Redis> {
  for (;;) {
    const own = redis.duplicate({ monitor: true });
    const isThere = await new Promise<boolean>((resolve) => {
      own.once('monitoring', () => resolve(true));
      // For each command that arrives with the answer.
      own.on('error', () => resolve(false));
    });
    if (isThere) return own;
    own.disconnect();
  }
}
