import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';

const WINDOW_S = 60;

/** What is counted. */
interface Wrong {
  /** Most of an address in a window. */
  readonly most: number;
  /** For the log. */
  readonly what: string;
  /** For the error: what is said of them. */
  readonly why: string;
}

/** A client that retries with an old key stays below. */
const KEYS: Wrong = { most: 20, what: 'requests without a valid key or token', why: 'were not authenticated' };

/** Model servers also report the ends of jobs that nobody waits for any more. */
export const CALLBACKS: Wrong = {
  most: 1_000,
  what: 'calls to unknown callback addresses',
  why: 'were to unknown callback addresses',
};

/**
 * Counts requests without a valid key or token, by address; also those whose token names no caller, permits nothing, or cannot be verified now. Above the limit they are rejected with `RATE_LIMITED` and not
 * logged. Requests with a valid key or token are always accepted, so that clients behind the same proxy cannot lock each other
 * out. The limit protects the log: 256 random bits cannot be guessed. Calls to unknown callback addresses are counted in the same way.
 */
export class WrongKeys {
  readonly #limiter: RateLimiterMemory;
  readonly #logger: Logger;
  readonly #wrong: Wrong;

  constructor(logger: Logger, wrong = KEYS) {
    this.#logger = logger;
    this.#wrong = wrong;
    this.#limiter = new RateLimiterMemory({ points: wrong.most, duration: WINDOW_S });
  }

  /** Throws `RATE_LIMITED` above the limit. */
  async count(address: string): Promise<void> {
    const from = networkOf(address);
    try {
      await this.#limiter.consume(from);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      const { most, what, why } = this.#wrong;
      if (refused.consumedPoints === most + 1)
        this.#logger.warn(
          { from, limit: most, windowS: WINDOW_S },
          `too many ${what}: further ones are rejected and not logged`,
        );
      const message = `more than ${most} requests of this address in ${WINDOW_S} s ${why}`;
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
