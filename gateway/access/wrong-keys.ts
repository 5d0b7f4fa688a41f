import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';

/** Requests of one address without a right key in a window: a client with an old key that retries stays below. */
const MOST = 20;
const WINDOW_S = 60;

/**
 * Counts the requests of each address that show no right key. Above the limit they are refused as `RATE_LIMITED` and no
 * longer make lines in the log; a right key from the same address is never refused, so that nobody is locked out by a
 * neighbour behind the same proxy. 256 random bits need no such limit against guessing: it is there for the log.
 */
export class WrongKeys {
  readonly #limiter = new RateLimiterMemory({ points: MOST, duration: WINDOW_S });

  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Throws `RATE_LIMITED` when the address has shown too many. */
  async count(address: string): Promise<void> {
    const from = networkOf(address);
    try {
      await this.#limiter.consume(from);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      if (refused.consumedPoints === MOST + 1)
        this.#logger.warn({ from, limit: MOST, windowS: WINDOW_S }, 'too many wrong keys: more are refused in silence');
      const message = `${MOST} requests of this address in ${WINDOW_S} s have shown no right key`;
      throw new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.max(1, refused.msBeforeNext) });
    }
  }
}

/** Of IPv6 the first 64 bits, which is what one subscriber gets. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('%', 1).join('').split('::');
  const groups = head.split(':').filter(Boolean);
  const end = tail?.split(':').filter(Boolean) ?? [];
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - groups.length - end.length)).fill('0');
  return `${[...groups, ...zeros, ...end].slice(0, 4).join(':')}::/64`;
}
