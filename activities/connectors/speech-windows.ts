import { joinedFloats } from '../../media/samples.js';

/** Whisper's window: 30 s at 16 kHz. Longer audio would be cut there, in the middle of a word. */
export const SAMPLE_RATE = 16_000;
const SECONDS = 30;
/**
 * A window ends at the quietest moment of its last sixth, 5 s of 30: speech usually has a pause within that time.
 */
const SEARCHED = 1 / 6;
/**
 * Windows are at least half a second long, or a sixth of the longest, unless the audio is shorter: Whisper hallucinates
 * words on snippets.
 */
const LEAST_TAIL_SECONDS = 1 / 2;
/**
 * Loudness is measured over a tenth of a second: longer than the silence in a plosive, shorter than a pause between
 * words.
 */
const FRAMES_PER_SECOND = 10;

export interface WindowOptions {
  /** Samples per second. Default 16 kHz. */
  readonly sampleRate?: number;
  /** Most samples of a window. Default 30 s. */
  readonly most?: number;
}

/**
 * Cuts a stream of samples into windows, none empty. Cuts depend on the samples alone, not on the chunks, so every
 * attempt cuts in the same places. Holds at most one window and one chunk. A window may be an hour of thousands of chunks:
 * they are joined once.
 */
export async function* windows(
  chunks: AsyncIterable<Float32Array>,
  { sampleRate = SAMPLE_RATE, most = SECONDS * sampleRate }: WindowOptions = {},
): AsyncGenerator<Float32Array, void> {
  const searched = Math.floor(most * SEARCHED);
  const tail = Math.floor(Math.min(sampleRate * LEAST_TAIL_SECONDS, searched));
  const frame = Math.max(1, Math.floor(Math.min(sampleRate / FRAMES_PER_SECOND, searched / 2)));
  const pieces: Float32Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    pieces.push(chunk);
    length += chunk.length;
    if (length < most + tail) continue;
    let held = joinedFloats(pieces.splice(0));
    while (held.length >= most + tail) {
      const cut = quietest(held, most - searched, most, frame);
      yield held.subarray(0, cut);
      held = held.slice(cut);
    }
    pieces.push(held);
    length = held.length;
  }
  let held = joinedFloats(pieces.splice(0));
  if (held.length > most) {
    // What remains must fit into a window too.
    const cut = quietest(
      held,
      Math.max(most - searched, held.length - most),
      Math.min(most, held.length - tail),
      frame,
    );
    yield held.subarray(0, cut);
    held = held.slice(cut);
  }
  if (held.length > 0) yield held;
}

/** The middle of the frame with the least energy between two sample offsets; the last of equals. */
function quietest(samples: Float32Array, from: number, to: number, frame: number): number {
  const hop = Math.max(1, Math.floor(frame / 10));
  let least = Number.POSITIVE_INFINITY;
  let cut = to;
  for (let start = from; start + frame <= to; start += hop) {
    let energy = 0;
    for (let i = start; i < start + frame; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      cut = start + Math.floor(frame / 2);
    }
  }
  return cut;
}

/** The same stream without its first `count` samples. */
export async function* skip(chunks: AsyncIterable<Float32Array>, count: number): AsyncGenerator<Float32Array, void> {
  let left = count;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left > 0 ? chunk.subarray(left) : chunk;
    left = Math.max(0, left - chunk.length);
  }
}
