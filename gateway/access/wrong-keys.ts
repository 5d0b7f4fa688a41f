import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';

/** Most requests per address and window without a valid key or token; a client that retries with an old key stays below. */
const MOST = 20;
const WINDOW_S = 60;

/**
 * Counts requests without a valid key or token, by address; also those whose token names no caller, permits nothing, or cannot be verified now. Above the limit they are rejected with `RATE_LIMITED` and not
 * logged. Requests with a valid key or token are always accepted, so that clients behind the same proxy cannot lock each other
 * out. The limit protects the log: 256 random bits cannot be guessed.
 */
export class WrongKeys {
  readonly #limiter = new RateLimiterMemory({ points: MOST, duration: WINDOW_S });

  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Throws `RATE_LIMITED` above the limit. */
  async count(address: string): Promise<void> {
    const from = networkOf(address);
    try {
      await this.#limiter.consume(from);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      if (refused.consumedPoints === MOST + 1)
        this.#logger.warn(
          { from, limit: MOST, windowS: WINDOW_S },
          'too many requests without a valid key or token: further ones are rejected and not logged',
        );
      const message = `more than ${MOST} requests of this address in ${WINDOW_S} s were not authenticated`;
      throw new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.max(1, refused.msBeforeNext) });
    }
  }
}

/** Of an IPv6 address the first 64 bits, which identify one subscriber. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('%', 1).join('').split('::');
  const groups = head.split(':').filter(Boolean);
  const end = tail?.split(':').filter(Boolean) ?? [];
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - groups.length - end.length)).fill('0');
  return `${[...groups, ...zeros, ...end].slice(0, 4).join(':')}::/64`;
}
