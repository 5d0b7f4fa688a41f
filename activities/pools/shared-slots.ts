import type { Redis } from 'ioredis';
import { script } from '../../stores/redis/index.js';

/** A worker's lease that is not renewed for this time is over: the worker is gone. */
const LEASE_MS = 4_000;
/** Interval of renewals, while slots are in use. */
const RENEW_MS = 1_000;
/** Interval of attempts by a worker without enough slots; half of it is randomised. */
const RETRY_MS = 60;
/** A server with fewer slots has none that a worker may hold without a call. */
const LEAST_PREPARED = 2;
/** How long the store is left alone after an error; until then the worker applies the limit to its own calls. */
const FALLBACK_MS = 2_000;

/**
 * Leases slots of a server to a worker. Each worker states how many it wants and how many it keeps; wanted slots are
 * granted as far as the limit allows. While others want more than they have, `fair` is what a worker should come down to
 * as its calls end: its equal share, or nothing where some of more workers than slots have none. A worker that has or had
 * slots leaves one to each that has none.
 */
const lease = script<
  [leases: string],
  [worker: string, want: number, kept: number, limit: number, leaseMs: number],
  [granted: number, fair: number]
>(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local worker, want, kept, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local all = redis.call('HGETALL', KEYS[1])
local used, workers, starving, contended, had = 0, 1, 0, false, 0
for i = 1, #all, 2 do
  local granted, wanted, ends = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  if not ends or tonumber(ends) < now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] == worker then
    had = tonumber(granted)
  else
    granted, wanted = tonumber(granted), tonumber(wanted)
    used = used + granted
    if wanted > 0 then workers = workers + 1 end
    if wanted > granted then contended = true end
    if wanted > 0 and granted == 0 then starving = starving + 1 end
  end
end
if want == 0 and kept == 0 then
  redis.call('HDEL', KEYS[1], worker)
  return { 0, limit }
end
local fair = limit
if contended then
  fair = math.floor(limit / workers)
  if fair == 0 and starving == 0 then fair = 1 end
end
local free = limit - used
if had > 0 or kept > 0 then free = free - starving end
local granted = math.max(kept, math.min(want, math.max(1, fair), math.max(0, free)))
redis.call('HSET', KEYS[1], worker, granted .. ' ' .. want .. ' ' .. (now + ARGV[5]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { granted, fair }`);

export interface SharedSlotsParts {
  readonly redis: Redis;
  /** Identifies the server: the same at every worker. */
  readonly server: string;
  /** Identifies the worker. */
  readonly worker: string;
  /** Slots of the server, for all workers together. */
  readonly limit: () => number;
  /** Called when the worker may have got more slots. */
  readonly changed: () => void;
}

/** A worker's part of a server's slots. While the state store is away it is all of them. */
export class SharedSlots {
  readonly #parts: SharedSlotsParts;
  #granted = 0;
  #held = 0;
  /** Most calls in flight since the last renewal: so many slots are kept, which saves a request for each call. */
  #peak = 0;
  #waiting = 0;
  /** What it should come down to as its calls end. */
  #fair = Number.POSITIVE_INFINITY;
  #asking = false;
  #deniedAt = Number.NEGATIVE_INFINITY;
  #again = false;
  #fallbackUntil = Number.NEGATIVE_INFINITY;
  #renewal: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: SharedSlotsParts) {
    this.#parts = parts;
  }

  /** Slots that this worker may use now. */
  get limit(): number {
    return this.#fallbackUntil > performance.now() ? this.#parts.limit() : this.#granted;
  }

  /** Whether the store may grant more slots than this worker has. */
  get mayGrow(): boolean {
    return this.limit < this.#parts.limit();
  }

  /** A call has taken a slot. */
  taken(): void {
    this.#held += 1;
    this.#peak = Math.max(this.#peak, this.#held);
    this.#renew();
  }

  /** A call has ended. Another worker that waits gets the slot at once. */
  left(): void {
    this.#held -= 1;
    if (this.#granted > this.#fair) void this.#ask();
  }

  /** This many calls wait for slots here, of all pools of the server. */
  wanted(waiting: number): void {
    this.#waiting = waiting;
    if (waiting === 0 || this.#held < this.limit || this.#granted >= this.#parts.limit()) return;
    const pause = this.#deniedAt + RETRY_MS - performance.now();
    if (pause > 0) this.#tryAgain(pause);
    else void this.#ask();
  }

  /**
   * A call would have come here with a slot at hand: asks for one more than are in use, so that the next call need not
   * go elsewhere. It is given back within two renewals if no call takes it. Not where workers compete for slots.
   */
  prepare(): void {
    const contended = this.#fair !== Number.POSITIVE_INFINITY;
    if (contended || this.#held < this.limit || !this.mayGrow || this.#parts.limit() < LEAST_PREPARED) return;
    if (this.#deniedAt + RETRY_MS > performance.now()) return;
    this.#peak = Math.max(this.#peak, this.#held + 1);
    void this.#ask();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#renewal);
    clearTimeout(this.#retry);
    const { redis, server, worker, limit } = this.#parts;
    void lease(redis, [keyOf(server)], worker, 0, 0, limit(), LEASE_MS).catch(() => undefined);
  }

  /** One request at a time. Never rejects. */
  async #ask(renewal = false): Promise<void> {
    if (this.#closed || this.#fallbackUntil > performance.now()) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    const { redis, server, worker, limit, changed } = this.#parts;
    const want = Math.min(limit(), Math.max(this.#held, this.#peak) + this.#waiting);
    if (renewal) this.#peak = this.#held;
    // Given up before the store gives it to another worker; what is kept is not taken away.
    const kept = Math.max(this.#held, Math.min(this.#granted, want, this.#fair));
    this.#granted = kept;
    try {
      const [granted, fair] = await lease(redis, [keyOf(server)], worker, want, kept, limit(), LEASE_MS);
      const more = granted > this.#granted;
      if (granted < want) this.#deniedAt = performance.now();
      this.#granted = granted;
      this.#fair = fair < limit() ? fair : Number.POSITIVE_INFINITY;
      if (want === 0 && this.#held === 0) this.#rest();
      // Slots that no call takes are given back too.
      else this.#renew();
      if (more) changed();
    } catch {
      this.#fallbackUntil = performance.now() + FALLBACK_MS;
      this.#granted = 0;
      changed();
      this.#tryAgain(FALLBACK_MS);
    } finally {
      this.#asking = false;
    }
    if (this.#again) {
      this.#again = false;
      void this.#ask();
    } else if (this.#waiting > 0 && this.#held >= this.limit) this.#tryAgain(RETRY_MS);
  }

  #renew(): void {
    this.#renewal ??= setInterval(() => void this.#ask(true), RENEW_MS).unref();
  }

  /** Nothing has used the server since the last renewal. */
  #rest(): void {
    clearInterval(this.#renewal);
    this.#renewal = undefined;
  }

  #tryAgain(ms: number): void {
    if (this.#retry) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        // The wait is over, or the store may be back: calls that still wait say so again.
        if (this.#waiting > 0 || this.#held > 0) void this.#ask();
      },
      ms * (0.5 + Math.random()),
    ).unref();
  }
}

const keyOf = (server: string): string => `millrace:slots:{${server}}`;
