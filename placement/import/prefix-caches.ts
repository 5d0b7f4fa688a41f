/** A prompt as its blocks, each named by the hash of its tokens and of all tokens before it; equal prefixes have equal names. */
interface Prompt {
  readonly tokens: number;
  readonly blocks: readonly number[];
}

/** How a router chooses among servers that each have a prefix cache. */
interface CacheRouting {
  readonly caches: number;
  /** Most blocks that each cache keeps; infinite: nothing is evicted. */
  readonly blocks: number;
  /** It sends a prompt to the cache that has most of its first blocks. Otherwise to any, at random. */
  readonly isAware: boolean;
  readonly blockTokens: number;
  readonly seed: number;
}

/** An aware router passes over a cache that was sent this share more than the average, and a few prompts more. */
const UNEVEN = { share: 0.25, prompts: 2 };

/**
 * The tokens of each prompt that the cache which it is sent to has already, in order of arrival. Caches evict the block that was
 * not used for the longest time, a prompt's last blocks before its first ones, as vLLM and SGLang do. A prompt is in a cache as soon
 * as it was sent there, whether or not the server has processed it by then. An aware router chooses, of the caches that were not
 * sent many more prompts than the others, the one with most of the prompt's first blocks; of equals the one that was sent the
 * fewest prompts.
 */
export function cachedTokens(
  prompts: readonly Prompt[],
  { caches, blocks, isAware, blockTokens, seed }: CacheRouting,
): Float64Array {
  const all = Array.from({ length: caches }, () => new PrefixCache(blocks));
  const sent = new Float64Array(caches);
  let state = seed >>> 0;
  const anyOf = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * caches);
  };
  return Float64Array.from(prompts, (prompt, i) => {
    const most = (i / caches) * (1 + UNEVEN.share) + UNEVEN.prompts;
    const chosen = isAware ? longestIn(all, prompt, sent, most) : anyOf();
    const cache = all[chosen] as PrefixCache;
    const known = cache.knownOf(prompt.blocks);
    cache.take(prompt.blocks);
    sent[chosen] = (sent[chosen] as number) + 1;
    return Math.min(prompt.tokens, known * blockTokens);
  });
}

/** The cache with most of a prompt's first blocks among those that were sent at most so many prompts. */
function longestIn(all: readonly PrefixCache[], { blocks }: Prompt, sent: Float64Array, most: number): number {
  let best = 0;
  let longest = -1;
  for (const [c, cache] of all.entries()) {
    if ((sent[c] as number) > most) continue;
    const known = cache.knownOf(blocks);
    const isFresher = known === longest && (sent[c] as number) < (sent[best] as number);
    if (known <= longest && !isFresher) continue;
    best = c;
    longest = known;
  }
  return best;
}

/** Blocks in the order of their last use. */
class PrefixCache {
  readonly #most: number;
  readonly #blocks = new Set<number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** How many of the first blocks it has. */
  knownOf(blocks: readonly number[]): number {
    let known = 0;
    while (known < blocks.length && this.#blocks.has(blocks[known] as number)) known += 1;
    return known;
  }

  /** Uses a prompt's blocks, the first one last, so that it is evicted last. */
  take(blocks: readonly number[]): void {
    for (let i = Math.min(blocks.length, this.#most) - 1; i >= 0; i -= 1) {
      const block = blocks[i] as number;
      this.#blocks.delete(block);
      this.#blocks.add(block);
    }
    for (const oldest of this.#blocks) {
      if (this.#blocks.size <= this.#most) break;
      this.#blocks.delete(oldest);
    }
  }
}
