import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { TenantSlots } from '../runtime/tenant-slots.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { createAudioPort, DEFAULT_FFMPEG, firstOf } from './audio-port.js';
import { decodeInThread } from './decoding/decode-in-thread.js';
import { codeOf, SILENCE_MS, throughFfmpeg } from './ffmpeg-process.js';
import { type LiveAudio, liveWav } from './live-wav.js';
import { openAudio } from './open-audio.js';
import { decodeWav } from './pcm.js';
import { probeMedia } from './probe-media.js';
import { toInt16 } from './samples.js';

/** Formats of audio in responses, by OpenAI's names. */
export type GivenFormat = 'mp3' | 'opus' | 'aac' | 'flac' | 'wav' | 'pcm';

interface FormatRow {
  /** The `Content-Type` that OpenAI sends. */
  readonly mime: string;
  /** ffmpeg's encoder and its options; absent if samples are sent as they are. */
  readonly encoder?: string;
  readonly options?: readonly string[];
}

/**
 * Bitrates at which speech is indistinguishable from the original; constant, so that players can compute the length.
 */
export const GIVEN_FORMATS: Readonly<Record<GivenFormat, FormatRow>> = {
  mp3: { mime: 'audio/mpeg', encoder: 'libmp3lame', options: ['-b:a', '96k', '-write_xing', '0', '-f', 'mp3'] },
  opus: { mime: 'audio/opus', encoder: 'libopus', options: ['-b:a', '48k', '-page_duration', '200000', '-f', 'ogg'] },
  aac: { mime: 'audio/aac', encoder: 'aac', options: ['-b:a', '96k', '-f', 'adts'] },
  flac: { mime: 'audio/flac', encoder: 'flac', options: ['-sample_fmt', 's16', '-f', 'flac'] },
  wav: { mime: 'audio/wav', encoder: 'pcm_s16le', options: ['-f', 'wav'] },
  pcm: { mime: 'audio/pcm' },
};

/** OpenAI's `pcm`: 16-bit signed little-endian, mono, without a header. */
const PCM_HZ = 24_000;

type Encoded = Exclude<GivenFormat, 'pcm'>;

/** ffmpeg's options: reads a WAV file without waiting for more of it than its header, sends each packet at once. */
const AT_ONCE = ['-f', 'wav', '-probesize', '32', '-analyzeduration', '0'];

/** Without random numbers and versions, so that a client that returns gets the rest of the same file. */
const SAME_BYTES = ['-fflags', '+bitexact', '-flags:a', '+bitexact', '-flush_packets', '1'];

/**
 * Most live encodings at once for each core, and of one tenant, those of stored files included: a process of ffmpeg with some 20 MB each, which
 * mostly waits for more audio, or for its client.
 */
const LIVE_PER_CORE = { all: 16, tenant: 8 };

/** Other conversions at once per core, in all and of one tenant: each keeps a core busy, here or in a process of ffmpeg. */
const AT_ONCE_PER_CORE = { all: 2, tenant: 1 };

/** Timeout of `ffmpeg -encoders`, in milliseconds; it normally takes a tenth of a second. */
const LIST_MS = 5_000;

/** Encoded audio for a caller. */
export interface GivenAudio {
  readonly mime: string;
  /** Its length, if known in advance. */
  readonly bytes?: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Encodes artifacts in the format that a caller requests: unchanged if they have it already, otherwise streamed through
 * ffmpeg. Runs two conversions per core, of one tenant one; further callers wait for their tenant’s turn, a minute at most.
 */
export class AudioEncoder {
  readonly #store: ArtifactStore;
  readonly #program: string;
  #encoders: ReadonlySet<string> | undefined;
  readonly #conversions = new FairSlots(
    AT_ONCE_PER_CORE.all * availableParallelism(),
    AT_ONCE_PER_CORE.tenant * availableParallelism(),
    { ms: 60_000, what: 'place to convert audio' },
  );
  /** Of stored files, chunk by chunk: a client that reads slowly holds none, so that a wait needs no bound. */
  readonly #turns = new FairSlots(
    AT_ONCE_PER_CORE.all * availableParallelism(),
    AT_ONCE_PER_CORE.tenant * availableParallelism(),
  );
  readonly #live = new TenantSlots(
    LIVE_PER_CORE.all * availableParallelism(),
    LIVE_PER_CORE.tenant * availableParallelism(),
  );

  /** @param program ffmpeg: a path, or a name on PATH */
  constructor(store: ArtifactStore, program: string = DEFAULT_FFMPEG) {
    this.#store = store;
    this.#program = program;
  }

  /**
   * Checks that a format can be encoded, assuming WAV as source; call it before the run. Throws
   * `CONVERSION_UNAVAILABLE` if ffmpeg or its encoder is missing.
   */
  async require(format: GivenFormat): Promise<void> {
    const { encoder } = GIVEN_FORMATS[format];
    if (encoder === undefined || format === 'wav') return;
    this.#encoders ??= await listEncoders(this.#program, format);
    if (!this.#encoders.has(encoder)) throw unavailable(format, `"${this.#program}" has no ${encoder}`);
  }

  /** Whether the tenant has as many stored files open as one tenant may have: `live` opens no further one. */
  isFull(tenant: string): boolean {
    return this.#live.hasAll(tenant);
  }

  /**
   * Encodes audio that is made while it is read: as soon as there is some of it. The same audio gives the same bytes,
   * whenever it is read, and also when it is read from the whole. A stored file is converted beside the event loop, in turns with other
   * files. Undefined if the tenant has too many such streams open, or everyone together. Throws the signal's reason.
   */
  live(audio: LiveAudio, format: GivenFormat, signal: AbortSignal): GivenAudio | undefined {
    signal.throwIfAborted();
    const { mime } = GIVEN_FORMATS[format];
    const { tenant, stored } = audio;
    const wav = liveWav(this.#store, audio, { ffmpeg: this.#program, signal });
    const unencoded = format === 'wav' ? wav : format === 'pcm' ? asPcm(wav, audio, signal) : undefined;
    // What is being made needs no decoder, and no more samples are converted than are made.
    if (unencoded && !stored) return { mime, chunks: unencoded };
    const leave = this.#live.take(tenant);
    if (leave === undefined) return undefined;
    // The chunks may never be read.
    signal.addEventListener('abort', leave, { once: true });
    const done = () => {
      signal.removeEventListener('abort', leave);
      leave();
    };
    const chunks = unencoded
      ? thenDone(unencoded, done)
      : this.#throughProgram(wav, format as Encoded, { signal, live: true }, done);
    return { mime, chunks: stored ? inTurns(chunks, (next) => this.#turns.use(tenant, signal, next)) : chunks };
  }

  /** The chunks throw the errors of `require` and `AudioPort.read`, `OVERLOADED` without a place within a minute, and the signal’s reason. */
  async encode(tenant: string, artifact: Artifact, format: GivenFormat, signal: AbortSignal): Promise<GivenAudio> {
    const stored = await this.#store.stat(tenant, artifact.uri);
    const { mime, bytes } = stored;
    const wanted = GIVEN_FORMATS[format].mime;
    if (mime === wanted) return { mime, bytes, chunks: this.#store.read(tenant, artifact.uri) };
    if (format !== 'pcm') return { mime: wanted, chunks: this.#encoded(tenant, stored, format, signal) };
    return { mime: wanted, chunks: samples(this.samples(tenant, stored, PCM_HZ, signal)) };
  }

  /** The length of a recording in milliseconds: as it was stored, else that of its packets. Throws the errors of `probeMedia`, and `OVERLOADED`. */
  async durationMs(tenant: string, artifact: Artifact, signal: AbortSignal): Promise<number> {
    const { durationMs } = await this.#store.stat(tenant, artifact.uri);
    if (durationMs !== undefined) return durationMs;
    const bench = { store: this.#store, tenant, program: this.#program, signal };
    return await this.#conversions.use(tenant, signal, async () => (await probeMedia(artifact, bench)).durationMs);
  }

  /** Mono samples in [-1, 1]. Throws the errors of `AudioPort.read`, `OVERLOADED`, and the signal’s reason. */
  async *samples(
    tenant: string,
    artifact: Artifact,
    sampleRate: number,
    signal: AbortSignal,
  ): AsyncGenerator<Float32Array, void> {
    const port = createAudioPort(this.#store, tenant, { ffmpeg: this.#program, signal });
    const read = port.read(artifact, { sampleRate });
    const release = await this.#conversions.acquire(tenant, signal);
    try {
      yield* read;
    } finally {
      release();
    }
  }

  async *#encoded(
    tenant: string,
    artifact: Artifact,
    format: Encoded,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    // Before there is a place: what is no audio takes none.
    const wav = openAudio(this.#store, tenant, artifact, { program: this.#program, signal }).bytes;
    const release = await this.#conversions.acquire(tenant, signal);
    yield* this.#throughProgram(wav, format, { signal }, release);
  }

  async *#throughProgram(
    wav: AsyncIterable<Uint8Array>,
    format: Encoded,
    options: { readonly signal: AbortSignal; readonly live?: boolean },
    done: () => void,
  ): AsyncGenerator<Uint8Array, void> {
    const { encoder = '', options: own = [] } = GIVEN_FORMATS[format];
    const program = this.#program;
    try {
      const job = { input: AT_ONCE, output: ['-c:a', encoder, ...own, ...SAME_BYTES] };
      const end = yield* throughFfmpeg(wav, job, { program, ...options });
      if (end.kind === 'done') return;
      if (end.kind === 'absent')
        throw unavailable(format, `"${program}" cannot be started here (${codeOf(end.error)})`);
      const seconds = SILENCE_MS / 1_000;
      if (end.kind === 'silent' && end.starved)
        throw new MillraceError('STORE_UNAVAILABLE', `the store sent no data of the audio for ${seconds} s`);
      const why = end.kind === 'silent' ? `no output for ${seconds} s` : end.complaint || `it exited with ${end.exit}`;
      throw new MillraceError('INTERNAL', `ffmpeg could not encode the audio as ${format}: ${why}`);
    } finally {
      done();
    }
  }
}

/** OpenAI's samples of a 16-bit mono WAV file. Of a stored one all is there at once, which may be hours: they are converted in the thread. */
function asPcm(
  wav: AsyncIterable<Uint8Array>,
  { tenant, stored }: LiveAudio,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (!stored) return samples(decodeWav(wav, { sampleRate: PCM_HZ }));
  return samples(firstOf(decodeInThread(wav, { sampleRate: PCM_HZ, channels: 1 }, undefined, { tenant, signal })));
}

/** Each chunk is made in a turn of its own, while its reader waits for it. */
async function* inTurns<T>(
  chunks: AsyncIterable<T>,
  turn: (next: () => Promise<IteratorResult<T>>) => Promise<IteratorResult<T>>,
): AsyncGenerator<T, void> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await turn(() => source.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await source.return?.();
  }
}

async function* thenDone(chunks: AsyncIterable<Uint8Array>, done: () => void): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks;
  } finally {
    done();
  }
}

async function* samples(read: AsyncIterable<Float32Array>): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of read) {
    const { buffer, byteLength } = toInt16(chunk);
    yield new Uint8Array(buffer, 0, byteLength);
  }
}

/** The encoders that ffmpeg lists. A missing program is not cached: it may be installed later. */
async function listEncoders(program: string, format: GivenFormat): Promise<ReadonlySet<string>> {
  try {
    const { stdout } = await promisify(execFile)(program, ['-hide_banner', '-encoders'], { timeout: LIST_MS });
    return new Set([...stdout.matchAll(/^ A\S{5} (\S+)/gm)].map(([, name = '']) => name));
  } catch (error) {
    throw unavailable(format, `"${program}" cannot be started here (${codeOf(error as Error)})`);
  }
}

const unavailable = (format: string, why: string) =>
  new MillraceError(
    'CONVERSION_UNAVAILABLE',
    `${format} needs ffmpeg, and ${why}: install it where the gateway runs, set MILLRACE_FFMPEG, or request wav or pcm`,
  );
