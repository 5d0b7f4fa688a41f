import { createHash } from 'node:crypto';
import { keepNewest } from '../../pipelines/keep-newest.js';

/** Characters of a block: about 32 tokens, two blocks of vLLM's cache. */
export const BLOCK_CHARACTERS = 128;
/** Blocks of one prompt: 128 Ki characters. What is behind them is not compared. */
const MOST_BLOCKS = 1_024;
/** Blocks kept of an endpoint: 2 Mi characters, about as many tokens as a GPU's cache holds; 2 MB of the worker's memory. */
export const MOST_KNOWN = 16_384;

/**
 * Hashes of a prompt's blocks, each over all text up to its end: prompts have the first n hashes in common if they are
 * equal for n blocks. A last block that is not full has none, as servers cache full blocks only.
 *
 * @param salt prompts of different salts have no hash in common
 */
export function prefixBlocks(salt: string, text: string): string[] {
  const count = Math.min(Math.floor(text.length / BLOCK_CHARACTERS), MOST_BLOCKS);
  let hash = salt;
  return Array.from({ length: count }, (_, i) => {
    const block = text.slice(i * BLOCK_CHARACTERS, (i + 1) * BLOCK_CHARACTERS);
    hash = createHash('sha256').update(`${hash}\n${block}`).digest('base64url').slice(0, 16);
    return hash;
  });
}

/** The blocks that an endpoint was last sent, the least recently used ones evicted. */
export class KnownPrefixes {
  readonly #most: number;
  /** In the order of use, the oldest first. */
  readonly #blocks = new Set<string>();

  constructor(most = MOST_KNOWN) {
    this.#most = most;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** Number of a prompt's first blocks that are known. */
  longest(blocks: readonly string[]): number {
    const unknown = blocks.findIndex((block) => !this.#blocks.has(block));
    return unknown === -1 ? blocks.length : unknown;
  }

  /** A prompt is sent. Its first blocks are the last to be evicted: without them the others are of no use. */
  add(blocks: readonly string[]): void {
    for (const block of blocks.slice(0, this.#most).reverse()) {
      this.#blocks.delete(block);
      this.#blocks.add(block);
    }
    keepNewest(this.#blocks, this.#most);
  }

  clear(): void {
    this.#blocks.clear();
  }
}
