/** Whisper's window: 30 s at 16 kHz. Longer audio would be cut there, in the middle of a word. */
export const SAMPLE_RATE = 16_000;
const WINDOW = 30 * SAMPLE_RATE;
/** A window ends at the quietest moment of its last 5 s: speech usually has a pause within that time. */
const SEARCH = 5 * SAMPLE_RATE;
/** Windows are at least half a second long unless the audio is shorter: Whisper hallucinates words on snippets. */
const LEAST_TAIL = SAMPLE_RATE / 2;
/**
 * Loudness is measured over a tenth of a second: longer than the silence in a plosive, shorter than a pause between
 * words.
 */
const FRAME = SAMPLE_RATE / 10;
const HOP = FRAME / 10;

/**
 * Cuts a stream of 16 kHz samples into windows of at most 30 s, none empty. Cuts depend on the samples alone, not on
 * the chunks, so every attempt cuts in the same places. Holds at most one window and one chunk.
 */
export async function* windows(chunks: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array, void> {
  let held = new Float32Array(0);
  for await (const chunk of chunks) {
    held = join(held, chunk);
    while (held.length >= WINDOW + LEAST_TAIL) {
      const cut = quietest(held, WINDOW - SEARCH, WINDOW);
      yield held.subarray(0, cut);
      held = held.slice(cut);
    }
  }
  if (held.length > WINDOW) {
    const cut = quietest(held, WINDOW - SEARCH, held.length - LEAST_TAIL);
    yield held.subarray(0, cut);
    held = held.slice(cut);
  }
  if (held.length > 0) yield held;
}

/** The middle of the frame with the least energy between two sample offsets; the last of equals. */
function quietest(samples: Float32Array, from: number, to: number): number {
  let least = Number.POSITIVE_INFINITY;
  let cut = to;
  for (let start = from; start + FRAME <= to; start += HOP) {
    let energy = 0;
    for (let i = start; i < start + FRAME; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      cut = start + FRAME / 2;
    }
  }
  return cut;
}

function join(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const joined = new Float32Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** The same stream without its first `count` samples. */
export async function* skip(chunks: AsyncIterable<Float32Array>, count: number): AsyncGenerator<Float32Array, void> {
  let left = count;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left > 0 ? chunk.subarray(left) : chunk;
    left = Math.max(0, left - chunk.length);
  }
}
