import { encodingOf } from '../../media/encodings.js';
import { probeMedia, toInt16 } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { artifactIn, type Operation, type Work } from './operation.js';
import { spanOf } from './video-work.js';

/** Samples of a recording that is made, at 48 kHz ten minutes: it is held in memory, 4 bytes each. */
const MOST_SAMPLES = 600 * 48_000;

export const clipAudio: Operation = async (work) => {
  const { input, audio } = work;
  const source = artifactIn(input, 'audio');
  const { durationMs, sampleRate } = await knownOf(source, work);
  const [from, to] = spanOf(input, durationMs);
  const [first, last] = [from, to].map((ms) => Math.round((ms / 1_000) * sampleRate)) as [number, number];
  // What the header of a compressed file says may be wrong.
  if (encodingOf(source.mime) === 'wav' && last - first > MOST_SAMPLES) throw tooLong();
  const samples = new Grown();
  let at = 0;
  for await (const chunk of audio.read(source, { sampleRate })) {
    const part = chunk.subarray(Math.max(0, first - at), Math.max(0, last - at));
    if (part.length > 0) samples.add(part, samples.length);
    at += chunk.length;
    if (at >= last) break;
  }
  return { audio: await written(work, samples, sampleRate) };
};

export const mix: Operation = async (work) => {
  const sources = work.input.audios as unknown as readonly Artifact[];
  let sampleRate = 0;
  for (const source of sources) sampleRate = Math.max(sampleRate, (await knownOf(source, work)).sampleRate);
  const samples = new Grown();
  for (const source of sources) {
    let at = 0;
    for await (const chunk of work.audio.read(source, { sampleRate })) {
      samples.add(chunk, at);
      at += chunk.length;
    }
  }
  return { audio: await written(work, samples, sampleRate) };
};

const tooLong = () => new MillraceError('BODY_TOO_LARGE', `the recording would have more than ${MOST_SAMPLES} samples`);

/** Samples that are added up, as many as come. */
class Grown {
  #samples = new Float32Array(65_536);
  length = 0;

  add(chunk: Float32Array, at: number): void {
    const end = at + chunk.length;
    if (end > MOST_SAMPLES) throw tooLong();
    if (end > this.#samples.length) {
      const larger = new Float32Array(Math.min(MOST_SAMPLES, Math.max(end, this.#samples.length * 2)));
      larger.set(this.#samples.subarray(0, this.length));
      this.#samples = larger;
    }
    for (let i = 0; i < chunk.length; i++) this.#samples[at + i] = (this.#samples[at + i] ?? 0) + (chunk[i] ?? 0);
    this.length = Math.max(this.length, end);
  }

  get clipped(): Float32Array {
    const samples = this.#samples.subarray(0, this.length);
    for (let i = 0; i < samples.length; i++) samples[i] = Math.max(-1, Math.min(1, samples[i] ?? 0));
    return samples;
  }
}

const written = async ({ audio }: Work, samples: Grown, sampleRate: number): Promise<Json> =>
  ({ ...(await audio.write(toInt16(samples.clipped), { sampleRate })) }) as unknown as Json;

/** The length and rate of a recording: as stored, or as its packets tell. */
async function knownOf(source: Artifact, { bench }: Work): Promise<{ durationMs: number; sampleRate: number }> {
  const { durationMs, sampleRate } = await bench.store.stat(bench.tenant, source.uri);
  if (durationMs !== undefined && sampleRate !== undefined) return { durationMs, sampleRate };
  const facts = await probeMedia(source, bench);
  return { durationMs: durationMs ?? facts.durationMs, sampleRate: sampleRate ?? facts.audio?.sampleRate ?? 48_000 };
}
