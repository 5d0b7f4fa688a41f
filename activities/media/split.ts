import { DEFAULT_FFMPEG } from '../../media/audio-port.js';
import { encodingOf } from '../../media/encodings.js';
import { type OpenAudio, openAudio } from '../../media/open-audio.js';
import { quietestCut } from '../../media/quietest-cut.js';
import { toInt16 } from '../../media/samples.js';
import { WavReader } from '../../media/wav.js';
import { invalidMedia, isSampleRate } from '../../media/wav-format.js';
import { WAV_HEADER_BYTES } from '../../media/write-wav.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { LONGEST_PART, LONGEST_PART_MS } from '../../pipelines/stages/option-bounds.js';
import type { BudgetedStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';

export interface SplitOptions {
  /** That of the call: audio whose parts would be more than it may write is refused before it is read. */
  readonly store: BudgetedStore;
  /** The ffmpeg program, for audio other than WAV. Default: `ffmpeg` on PATH. */
  readonly ffmpeg?: string | undefined;
}

/** An entry of the output has about 330 bytes, and Temporal accepts results up to 2 MB. */
const MOST_PARTS = 4_000;

/**
 * Splits long audio into parts of at most `with.longestMs`, each but the last cut at the quietest place of its last
 * fifth. Parts are 16-bit mono WAV at the source's rate; concatenated they equal the source sample by sample. `startMs`
 * is where a part starts in the source, in milliseconds, as exact as the rate allows. One part at a time is held in
 * memory.
 */
export const createSplit =
  ({ store, ffmpeg = DEFAULT_FFMPEG }: SplitOptions): WorkerKind =>
  async ({ with: options, input, tenant }, { audio, signal }) => {
    const longestMs = longestOf(options);
    const source = input.audio as unknown as Artifact;
    // It exists and belongs to the tenant, before its size is trusted.
    const stored = await store.stat(tenant, source.uri);
    const sampleRate =
      source.sampleRate ??
      stored.sampleRate ??
      (await rateOf(openAudio(store, tenant, source, { program: ffmpeg, signal })));
    if (!isSampleRate(sampleRate)) throw invalidMedia(`a sample rate of ${sampleRate} Hz is not supported`);
    expectFew(stored, { longestMs, sampleRate }, store);
    const parts: Json[] = [];
    let start = 0;
    const most = Math.floor((longestMs * sampleRate) / 1_000);
    for await (const samples of partsOf(audio.read(source, { sampleRate }), most, sampleRate)) {
      signal.throwIfAborted();
      if (parts.length === MOST_PARTS) throw tooMany();
      const part = await audio.write(samples, { sampleRate });
      parts.push({ audio: { ...part } as unknown as JsonObject, startMs: (start * 1_000) / sampleRate });
      start += samples.length;
    }
    return { parts };
  };

/**
 * Throws if there would be too many parts, or more bytes of them than the call may write. Does nothing for audio whose length is not known: what
 * the header of a compressed file says may be wrong.
 */
function expectFew(
  { mime, durationMs }: Artifact,
  { longestMs, sampleRate }: { readonly longestMs: number; readonly sampleRate: number },
  store: BudgetedStore,
): void {
  if (encodingOf(mime) !== 'wav' || durationMs === undefined) return;
  // The store has counted the samples, and rounded their duration.
  const leastMs = durationMs - 1;
  const least = Math.ceil(leastMs / longestMs);
  if (least > MOST_PARTS) throw tooMany();
  const samples = Math.floor((leastMs * sampleRate) / 1_000);
  store.expectRoom(samples * Int16Array.BYTES_PER_ELEMENT + least * WAV_HEADER_BYTES);
}

/** Each part is valid until the next one is requested. */
async function* partsOf(
  chunks: AsyncIterable<Float32Array>,
  most: number,
  sampleRate: number,
): AsyncGenerator<Int16Array, void> {
  // The stated sample rate determines the buffer's size, so nothing is allocated before there is audio.
  let held: Int16Array | undefined;
  let filled = 0;
  for await (const chunk of chunks) {
    held ??= new Int16Array(most);
    const samples = toInt16(chunk);
    for (let at = 0; at < samples.length; ) {
      if (filled === most) {
        // More audio follows, so the part must end here at the latest.
        const cut = quietestCut(held, sampleRate);
        yield held.subarray(0, cut);
        held.copyWithin(0, cut);
        filled -= cut;
      }
      const taken = samples.subarray(at, at + most - filled);
      held.set(taken, filled);
      filled += taken.length;
      at += taken.length;
    }
  }
  if (held !== undefined && filled > 0) yield held.subarray(0, filled);
}

/** The rate of audio whose artifact does not state it: read from the decoded header. */
async function rateOf({ bytes }: OpenAudio): Promise<number> {
  const reader = new WavReader();
  for await (const chunk of bytes) {
    for (const _samples of reader.push(chunk)) if (reader.format) return reader.format.sampleRate;
  }
  throw invalidMedia('the file holds no audio: its length is zero');
}

function longestOf({ longestMs }: JsonObject): number {
  const { least, most } = LONGEST_PART_MS;
  if (typeof longestMs === 'number' && longestMs >= least && longestMs <= most) return longestMs;
  throw invalidOptions(LONGEST_PART);
}

const tooMany = () => invalidOptions(`makes more than ${MOST_PARTS} parts of this audio; make it longer`);

function invalidOptions(message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `split: longest ${message}`, { fields: [{ field: 'longest', message }] });
}
