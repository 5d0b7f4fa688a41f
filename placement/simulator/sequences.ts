import { type StepTimes, slopeAt, stepAt, untilNextSlope } from './steps.js';

/** What a sequence needs. */
export interface Sequence {
  readonly call: number;
  /** Milliseconds of its prompt, and the prompt's tokens: those generated before a preemption included. */
  readonly promptMs: number;
  readonly promptTokens: number;
  /** Tokens of the prompt that are processed: those that no prefix cache has. */
  readonly unreadTokens: number;
  /** Tokens to generate after the first. */
  readonly more: number;
  /** Tokens after which a reader of its stream has another piece; infinite: nobody reads it. */
  readonly every: number;
  /** Tokens generated after the first before a preemption. */
  readonly had: number;
}

/** What a replica's device time brings next. */
export const NEXT = { nothing: 0, prompt: 1, end: 2, full: 3, slope: 4 } as const;

/**
 * The sequences that an LLM server runs together (continuous batching, as vLLM does it).
 *
 * - Prompts are processed in order of admission. While one is processed, each step takes a part of it of at most `chunk`
 *   tokens beside one token of every running sequence (chunked prefill): a step's time is that of the part plus that of
 *   the decoding. With an infinite `chunk` running sequences wait for the whole prompt.
 * - All sequences advance by one token per step; a step's time depends on their number and on the tokens in the cache.
 *   One step counter therefore orders all ends: a sequence ends when the counter has grown by its tokens.
 * - The cache grows by one token per sequence and step. When it is full, the sequence admitted last loses its place
 *   (preemption by recomputation): it gives its memory back, and later starts with its prompt and what it had generated.
 */
export class Sequences {
  readonly #most: Int32Array;
  readonly #first: Int32Array;
  readonly #memory: Float64Array;
  readonly #chunk: Float64Array;
  readonly #steps: readonly StepTimes[];
  // By place: the running ones first, sorted by when they are due, the earliest last; the prompts in order at the other end.
  readonly #call: Int32Array;
  readonly #dueAt: Float64Array;
  readonly #endAt: Float64Array;
  readonly #every: Float64Array;
  readonly #had: Float64Array;
  readonly #begunAt: Float64Array;
  readonly #prompt: Float64Array;
  readonly #stamp: Float64Array;
  // By replica.
  readonly #running: Int32Array;
  readonly #reading: Int32Array;
  /** Admitted sequences whose prompt's cache is on its way from another replica. */
  readonly #arriving: Int32Array;
  /** Where the ring of prompts begins. */
  readonly #readFrom: Int32Array;
  readonly #readCall: Int32Array;
  readonly #readMs: Float64Array;
  readonly #readTokens: Float64Array;
  readonly #readLeftTokens: Float64Array;
  readonly #readMore: Float64Array;
  readonly #readEvery: Float64Array;
  readonly #readHad: Float64Array;
  readonly #readStamp: Float64Array;
  readonly #counter: Float64Array;
  readonly #readAt: Float64Array;
  /** Tokens in the cache of the running ones, and those reserved for prompts in progress. */
  readonly #cached: Float64Array;
  readonly #reserved: Float64Array;
  #admitted = 0;

  /** `most`: concurrent sequences of each replica, 0 for replicas that batch differently; `memory`: their tokens. */
  constructor(most: Int32Array, memory: Float64Array, chunk: Float64Array, steps: readonly StepTimes[]) {
    this.#most = most;
    this.#memory = memory;
    this.#chunk = chunk;
    this.#steps = steps;
    this.#first = new Int32Array(most.length);
    let total = 0;
    for (const [i, each] of most.entries()) {
      this.#first[i] = total;
      total += each;
    }
    this.#call = new Int32Array(total);
    this.#dueAt = new Float64Array(total);
    this.#endAt = new Float64Array(total);
    this.#every = new Float64Array(total);
    this.#had = new Float64Array(total);
    this.#begunAt = new Float64Array(total);
    this.#prompt = new Float64Array(total);
    this.#stamp = new Float64Array(total);
    this.#readCall = new Int32Array(total);
    this.#readMs = new Float64Array(total);
    this.#readTokens = new Float64Array(total);
    this.#readLeftTokens = new Float64Array(total);
    this.#readMore = new Float64Array(total);
    this.#readEvery = new Float64Array(total);
    this.#readHad = new Float64Array(total);
    this.#readStamp = new Float64Array(total);
    this.#running = new Int32Array(most.length);
    this.#reading = new Int32Array(most.length);
    this.#arriving = new Int32Array(most.length);
    this.#readFrom = new Int32Array(most.length);
    this.#counter = new Float64Array(most.length);
    this.#readAt = new Float64Array(most.length);
    this.#cached = new Float64Array(most.length);
    this.#reserved = new Float64Array(most.length);
  }

  /** Sequences of a replica, prompts included, and those that are on their way. */
  count(replica: number): number {
    return this.#active(replica) + (this.#arriving[replica] as number);
  }

  /** Those that take its device's time. */
  #active(replica: number): number {
    return (this.#running[replica] as number) + (this.#reading[replica] as number);
  }

  /** Whether a prompt of so many tokens can be admitted now. An idle replica admits whatever fits it at all. */
  hasRoom(replica: number, promptTokens: number): boolean {
    const count = this.count(replica);
    if (count === 0) return true;
    const held = (this.#cached[replica] as number) + (this.#reserved[replica] as number);
    return count < (this.#most[replica] as number) && held + promptTokens <= (this.#memory[replica] as number);
  }

  /** Admits a sequence: its prompt is processed after those admitted before. */
  join(replica: number, { call, promptMs, promptTokens, unreadTokens, more, every, had }: Sequence): void {
    const at = this.#readPlace(replica, this.#reading[replica] as number);
    this.#reading[replica] = (this.#reading[replica] as number) + 1;
    this.#readCall[at] = call;
    this.#readMs[at] = promptMs;
    this.#readTokens[at] = promptTokens;
    this.#readLeftTokens[at] = unreadTokens;
    this.#readMore[at] = more;
    this.#readEvery[at] = every;
    this.#readHad[at] = had;
    this.#readStamp[at] = this.#admitted++;
    this.#reserved[replica] = (this.#reserved[replica] as number) + promptTokens;
  }

  /** Admits a sequence whose prompt's cache is pulled from another replica: it has its memory from now on. */
  expect(replica: number, promptTokens: number): void {
    this.#arriving[replica] = (this.#arriving[replica] as number) + 1;
    this.#reserved[replica] = (this.#reserved[replica] as number) + promptTokens;
  }

  /** The cache of an expected sequence has arrived: the next step generates its first token. */
  arrive(
    replica: number,
    { call, promptTokens, more, every }: Omit<Sequence, 'promptMs' | 'unreadTokens' | 'had'>,
  ): void {
    this.#arriving[replica] = (this.#arriving[replica] as number) - 1;
    this.#reserved[replica] = (this.#reserved[replica] as number) - promptTokens;
    this.#cached[replica] = (this.#cached[replica] as number) + promptTokens;
    const i = this.#running[replica] as number;
    this.#running[replica] = i + 1;
    const begunAt = (this.#counter[replica] as number) + 1;
    const place = this.#insert(replica, i, begunAt);
    this.#call[place] = call;
    this.#endAt[place] = begunAt + more;
    this.#every[place] = every;
    this.#had[place] = 0;
    this.#begunAt[place] = begunAt;
    // With its first token, which others have when they begin.
    this.#prompt[place] = promptTokens + 1;
    this.#stamp[place] = this.#admitted++;
  }

  /** Advances a replica by the time of its device since the last call; the rates were the same all that time. */
  advance(replica: number, clock: number): void {
    const passed = clock - (this.#readAt[replica] as number);
    this.#readAt[replica] = clock;
    if (passed <= 0 || this.#active(replica) === 0) return;
    const running = this.#running[replica] as number;
    let steps: number;
    if ((this.#reading[replica] as number) > 0) {
      const at = this.#readPlace(replica, 0);
      const left = this.#readMs[at] as number;
      const chunks = (this.#readLeftTokens[at] as number) / (this.#chunk[replica] as number);
      const whole = left + (running > 0 ? chunks * this.#stepMs(replica) : 0);
      const share = whole > 0 ? Math.min(1, passed / whole) : 1;
      steps = running > 0 ? chunks * share : 0;
      this.#readMs[at] = left * (1 - share);
      this.#readLeftTokens[at] = (this.#readLeftTokens[at] as number) * (1 - share);
    } else {
      const ms = this.#stepMs(replica);
      const slope = this.#slope(replica);
      // The k-th step takes ms + k·slope; solved for the steps in the passed time.
      steps = slope > 0 ? (Math.sqrt(ms * ms + 2 * slope * passed) - ms) / slope : passed / ms;
    }
    this.#counter[replica] = (this.#counter[replica] as number) + steps;
    this.#cached[replica] = (this.#cached[replica] as number) + steps * running;
  }

  /** Milliseconds of the device until something happens to a replica's sequences; infinite if it has none. */
  left(replica: number): number {
    this.#look(replica);
    return this.#leftMs;
  }

  /** What happens next to them. */
  next(replica: number): number {
    this.#look(replica);
    return this.#kind;
  }

  #leftMs = 0;
  #kind = 0;

  #look(replica: number): void {
    const running = this.#running[replica] as number;
    const reading = (this.#reading[replica] as number) > 0;
    this.#kind = NEXT.nothing;
    this.#leftMs = Number.POSITIVE_INFINITY;
    if (running === 0 && !reading) return;
    let steps = Number.POSITIVE_INFINITY;
    if (running > 0) {
      const dueAt = this.#dueAt[(this.#first[replica] as number) + running - 1] as number;
      steps = Math.max(0, dueAt - (this.#counter[replica] as number));
      this.#kind = NEXT.end;
      const held = (this.#cached[replica] as number) + (this.#reserved[replica] as number);
      const room = ((this.#memory[replica] as number) - held) / running;
      if (room < steps - 1e-9 && this.count(replica) > 1) {
        steps = Math.max(0, room);
        this.#kind = NEXT.full;
      }
    }
    if (reading) {
      const at = this.#readPlace(replica, 0);
      const left = this.#readMs[at] as number;
      const chunks = (this.#readLeftTokens[at] as number) / (this.#chunk[replica] as number);
      const whole = left + (running > 0 ? chunks * this.#stepMs(replica) : 0);
      if (running === 0 || steps >= chunks) {
        this.#kind = NEXT.prompt;
        this.#leftMs = whole;
      } else this.#leftMs = (whole * steps) / chunks;
      return;
    }
    const until = untilNextSlope(this.#steps[replica] as StepTimes, this.#context(replica));
    if (until < steps) {
      // A little beyond it, so that rounding does not stop the steps at the border.
      steps = until + 1e-6;
      this.#kind = NEXT.slope;
    }
    this.#leftMs = steps * this.#stepMs(replica) + (this.#slope(replica) * steps * steps) / 2;
  }

  /** The prompt in progress is done: its sequence has its first token, and generates the others. Returns its call. */
  read(replica: number): number {
    const at = this.#readPlace(replica, 0);
    const call = this.#readCall[at] as number;
    const tokens = this.#readTokens[at] as number;
    const more = this.#readMore[at] as number;
    const stamp = this.#readStamp[at] as number;
    this.#readFrom[replica] = ((this.#readFrom[replica] as number) + 1) % (this.#most[replica] as number);
    this.#reading[replica] = (this.#reading[replica] as number) - 1;
    this.#reserved[replica] = (this.#reserved[replica] as number) - tokens;
    this.#cached[replica] = (this.#cached[replica] as number) + tokens;
    const i = this.#running[replica] as number;
    this.#running[replica] = i + 1;
    const counter = this.#counter[replica] as number;
    const endAt = counter + more;
    const every = this.#readEvery[at] as number;
    const had = this.#readHad[at] as number;
    const place = this.#insert(replica, i, dueAfter(counter, counter, had, every, endAt));
    this.#call[place] = call;
    this.#endAt[place] = endAt;
    this.#every[place] = every;
    this.#had[place] = had;
    this.#begunAt[place] = counter;
    this.#prompt[place] = tokens;
    this.#stamp[place] = stamp;
    return call;
  }

  /** Makes room for a running sequence, of `count`, that is due then; returns its place. */
  #insert(replica: number, count: number, dueAt: number): number {
    const first = this.#first[replica] as number;
    let i = count;
    for (; i > 0 && (this.#dueAt[first + i - 1] as number) <= dueAt; i -= 1) this.#copy(first + i - 1, first + i);
    this.#dueAt[first + i] = dueAt;
    return first + i;
  }

  /** Whether the sequence that is due has ended; else it has another piece, or its first token. */
  hasEnded(replica: number): boolean {
    const at = (this.#first[replica] as number) + (this.#running[replica] as number) - 1;
    return (this.#dueAt[at] as number) >= (this.#endAt[at] as number);
  }

  /** The sequence that is due goes on to its next piece. Returns its call; `generated` is its tokens so far. */
  passPiece(replica: number): number {
    const last = (this.#running[replica] as number) - 1;
    const at = (this.#first[replica] as number) + last;
    const counter = Math.max(this.#counter[replica] as number, this.#dueAt[at] as number);
    // Discards what rounding left of the step.
    this.#cached[replica] =
      (this.#cached[replica] as number) + (counter - (this.#counter[replica] as number)) * (last + 1);
    this.#counter[replica] = counter;
    const call = this.#call[at] as number;
    const endAt = this.#endAt[at] as number;
    const every = this.#every[at] as number;
    const had = this.#had[at] as number;
    const begunAt = this.#begunAt[at] as number;
    const prompt = this.#prompt[at] as number;
    const stamp = this.#stamp[at] as number;
    this.generated = Math.round(1 + had + counter - begunAt);
    const place = this.#insert(replica, last, dueAfter(counter, begunAt, had, every, endAt));
    this.#call[place] = call;
    this.#endAt[place] = endAt;
    this.#every[place] = every;
    this.#had[place] = had;
    this.#begunAt[place] = begunAt;
    this.#prompt[place] = prompt;
    this.#stamp[place] = stamp;
    return call;
  }

  /** Removes the sequence that has ended, and returns its call. */
  leave(replica: number): number {
    const running = (this.#running[replica] as number) - 1;
    const at = (this.#first[replica] as number) + running;
    this.#running[replica] = running;
    // Discards what rounding left of the step.
    const missing = Math.max(0, (this.#endAt[at] as number) - (this.#counter[replica] as number));
    this.#counter[replica] = (this.#counter[replica] as number) + missing;
    const own = (this.#prompt[at] as number) + (this.#counter[replica] as number) - (this.#begunAt[at] as number);
    const cached = (this.#cached[replica] as number) + missing * (running + 1) - own;
    this.#cached[replica] = running === 0 ? 0 : Math.max(0, cached);
    return this.#call[at] as number;
  }

  /** Takes the sequence admitted last out of memory. Returns its call; `generated` is what it had beyond its prompt. */
  preempt(replica: number): number {
    const reading = this.#reading[replica] as number;
    if (reading > 0) {
      const at = this.#readPlace(replica, reading - 1);
      this.#reading[replica] = reading - 1;
      this.#reserved[replica] = (this.#reserved[replica] as number) - (this.#readTokens[at] as number);
      this.generated = 0;
      return this.#readCall[at] as number;
    }
    const first = this.#first[replica] as number;
    const running = this.#running[replica] as number;
    let latest = first;
    for (let at = first; at < first + running; at += 1) {
      if ((this.#stamp[at] as number) > (this.#stamp[latest] as number)) latest = at;
    }
    const call = this.#call[latest] as number;
    // Below 0 before the first token of a sequence that has arrived.
    const had = (this.#counter[replica] as number) - (this.#begunAt[latest] as number);
    this.generated = Math.max(0, had);
    this.#cached[replica] = (this.#cached[replica] as number) - (this.#prompt[latest] as number) - had;
    for (let at = latest; at < first + running - 1; at += 1) this.#copy(at + 1, at);
    this.#running[replica] = running - 1;
    return call;
  }

  /** Tokens that the last preempted sequence had generated after its first; of one with another piece, all so far. */
  generated = 0;

  #context(replica: number): number {
    return (this.#cached[replica] as number) / (this.#running[replica] as number);
  }

  #stepMs(replica: number): number {
    return stepAt(this.#steps[replica] as StepTimes, this.#running[replica] as number, this.#context(replica));
  }

  #slope(replica: number): number {
    return slopeAt(this.#steps[replica] as StepTimes, this.#running[replica] as number, this.#context(replica));
  }

  #readPlace(replica: number, i: number): number {
    const most = this.#most[replica] as number;
    return (this.#first[replica] as number) + (((this.#readFrom[replica] as number) + i) % most);
  }

  #copy(from: number, to: number): void {
    this.#call[to] = this.#call[from] as number;
    this.#dueAt[to] = this.#dueAt[from] as number;
    this.#every[to] = this.#every[from] as number;
    this.#had[to] = this.#had[from] as number;
    this.#endAt[to] = this.#endAt[from] as number;
    this.#begunAt[to] = this.#begunAt[from] as number;
    this.#prompt[to] = this.#prompt[from] as number;
    this.#stamp[to] = this.#stamp[from] as number;
  }
}

/** When a sequence is due next: at the end of its next piece, at the latest at its own. */
function dueAfter(counter: number, begunAt: number, had: number, every: number, endAt: number): number {
  if (every === Number.POSITIVE_INFINITY) return endAt;
  const tokens = Math.round(1 + had + counter - begunAt);
  return Math.min(endAt, counter + every * (Math.floor(tokens / every) + 1) - tokens);
}
