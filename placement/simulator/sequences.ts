/**
 * The sequences that an LLM server generates together (continuous batching). All advance by one token per step, and a
 * step's time depends on their number; a new prompt is processed between two steps, while the others wait. One step
 * counter therefore orders all ends: a sequence ends when the counter has grown by its tokens.
 */
export class Sequences {
  readonly #most: Int32Array;
  readonly #first: Int32Array;
  readonly #call: Int32Array;
  readonly #endAt: Float64Array;
  readonly #tokens: Float64Array;
  readonly count: Int32Array;
  /** Tokens in memory. */
  readonly held: Float64Array;
  readonly #steps: Float64Array;
  readonly #readAt: Float64Array;
  /** Milliseconds of prompts still to be processed. */
  readonly #reading: Float64Array;

  /** `most`: concurrent sequences of each replica; 0 for replicas that batch differently. */
  constructor(most: Int32Array) {
    this.#most = most;
    this.#first = new Int32Array(most.length);
    let total = 0;
    for (const [i, each] of most.entries()) {
      this.#first[i] = total;
      total += each;
    }
    this.#call = new Int32Array(total);
    this.#endAt = new Float64Array(total);
    this.#tokens = new Float64Array(total);
    this.count = new Int32Array(most.length);
    this.held = new Float64Array(most.length);
    this.#steps = new Float64Array(most.length);
    this.#readAt = new Float64Array(most.length);
    this.#reading = new Float64Array(most.length);
  }

  hasRoom(replica: number, tokens: number, mostTokens: number): boolean {
    const count = this.count[replica] as number;
    return (
      count === 0 || (count < (this.#most[replica] as number) && (this.held[replica] as number) + tokens <= mostTokens)
    );
  }

  /** Advances a replica to its device's clock. */
  advance(replica: number, clock: number, stepMs: Float64Array): void {
    const count = this.count[replica] as number;
    const passed = clock - (this.#readAt[replica] as number);
    this.#readAt[replica] = clock;
    if (count === 0 || passed <= 0) return;
    const reading = Math.min(passed, this.#reading[replica] as number);
    this.#reading[replica] = (this.#reading[replica] as number) - reading;
    this.#steps[replica] = (this.#steps[replica] as number) + (passed - reading) / (stepMs[count - 1] as number);
  }

  /** Adds a sequence whose prompt takes `promptMs`, including its first token, and that has `more` tokens after it. */
  join(replica: number, call: number, promptMs: number, more: number, tokens: number): void {
    this.#reading[replica] = (this.#reading[replica] as number) + promptMs;
    this.held[replica] = (this.held[replica] as number) + tokens;
    const first = this.#first[replica] as number;
    const endAt = (this.#steps[replica] as number) + more;
    let i = this.count[replica] as number;
    this.count[replica] = i + 1;
    // Sorted by end, the earliest last: there are few, and the next to end is popped from the back.
    while (i > 0 && (this.#endAt[first + i - 1] as number) <= endAt) i -= 1;
    for (let j = (this.count[replica] as number) - 1; j > i; j -= 1) this.#copy(first + j - 1, first + j);
    this.#endAt[first + i] = endAt;
    this.#call[first + i] = call;
    this.#tokens[first + i] = tokens;
  }

  /** Work until the next sequence ends, in milliseconds; infinite if there is none. */
  left(replica: number, stepMs: Float64Array): number {
    const count = this.count[replica] as number;
    if (count === 0) return Number.POSITIVE_INFINITY;
    const endAt = this.#endAt[(this.#first[replica] as number) + count - 1] as number;
    const steps = Math.max(0, endAt - (this.#steps[replica] as number));
    return (this.#reading[replica] as number) + steps * (stepMs[count - 1] as number);
  }

  /** Removes the sequence that has ended, and returns its call. */
  leave(replica: number): number {
    const count = (this.count[replica] as number) - 1;
    const at = (this.#first[replica] as number) + count;
    this.count[replica] = count;
    this.held[replica] = (this.held[replica] as number) - (this.#tokens[at] as number);
    // Discards what rounding left of the step or of the prompt.
    if ((this.#steps[replica] as number) < (this.#endAt[at] as number))
      this.#steps[replica] = this.#endAt[at] as number;
    return this.#call[at] as number;
  }

  #copy(from: number, to: number): void {
    this.#endAt[to] = this.#endAt[from] as number;
    this.#call[to] = this.#call[from] as number;
    this.#tokens[to] = this.#tokens[from] as number;
  }
}
