import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import type { AudioSamples, CodeArtifacts } from '../pipelines/stages/kind.js';
import type { ArtifactStore, Inspector } from '../stores/artifacts/store.js';
import { type AudioPortOptions, createAudioPort, DEFAULT_FFMPEG } from './audio-port.js';
import { describeConversion, describeDamage } from './conversion.js';
import { inspectorOf } from './inspectors.js';
import { openAudio } from './open-audio.js';
import { decodeChannels } from './pcm.js';
import { readWhole } from './read-whole.js';
import { clamp, joinedFloats, toInt16 } from './samples.js';
import { invalidMedia, isSampleRate } from './wav-format.js';

export interface CodeArtifactsOptions extends AudioPortOptions {
  /** Most bytes of one read, as the file and as samples. */
  readonly mostBytes: number;
}

/** Media of one tenant, for the functions of `code` stages and tools. The store limits what is written. */
export function createCodeArtifacts(
  store: ArtifactStore,
  tenant: string,
  { mostBytes, ...options }: CodeArtifactsOptions,
): CodeArtifacts {
  const { signal } = options;
  return {
    read: ({ uri }) => readWhole(store, tenant, uri, { most: mostBytes, limit: 'are read by a stage', signal }),
    write: async (bytes, { type }) => store.put(tenant, pieces(bytes), inspectorFor(type)),
    readAudio: (audio) => readSamples(store, tenant, audio, mostBytes, options),
    async writeAudio(samples, sampleRate) {
      if (!isSampleRate(sampleRate)) throw invalidMedia(`a sample rate of ${sampleRate} Hz is not supported`);
      return createAudioPort(store, tenant).write(toInt16(clamp(samples.slice())), { sampleRate });
    },
  };
}

async function readSamples(
  store: ArtifactStore,
  tenant: string,
  audio: Artifact,
  mostBytes: number,
  { onConversion, ffmpeg = DEFAULT_FFMPEG, signal }: AudioPortOptions,
): Promise<AudioSamples> {
  const { bytes, decoded } = openAudio(store, tenant, audio, {
    program: ffmpeg,
    signal,
    onDamage: (text) => onConversion?.(describeDamage(text)),
  });
  const parts: Float32Array[] = [];
  let length = 0;
  let sampleRate = 0;
  const chunks = decodeChannels(bytes, { channels: 1 }, (found) => {
    ({ sampleRate } = found);
    const text = describeConversion(found, { sampleRate, channels: 1 }, decoded);
    if (text !== undefined) onConversion?.(text);
  });
  for await (const [mono = new Float32Array()] of chunks) {
    length += mono.length;
    if (length * Float32Array.BYTES_PER_ELEMENT > mostBytes) {
      const message = `the samples of ${audio.uri} take more than ${mostBytes} bytes, the most that a stage reads`;
      throw new MillraceError('BODY_TOO_LARGE', message);
    }
    parts.push(mono);
  }
  return { samples: joinedFloats(parts), sampleRate };
}

/** RFC 6838 §4.2, in lower case and without parameters. */
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/;

/** Admits bytes of the stated type: audio, images and videos by their content, anything else as it is. */
function inspectorFor(type: string): Inspector {
  if (!MEDIA_TYPE.test(type)) throw invalidMedia(`"${type}" is not a media type in lower case, such as image/png`);
  const [kind] = type.split('/');
  if (kind !== 'audio' && kind !== 'image' && kind !== 'video')
    return { push: () => undefined, end: () => ({ mime: type }) };
  const inspector = inspectorOf(kind);
  return {
    push: (chunk) => inspector.push(chunk),
    end() {
      const found = inspector.end();
      if (found.mime !== type) throw invalidMedia(`the bytes are ${found.mime}, not ${type}`);
      return found;
    },
  };
}

/** The store checks its limits between pieces. */
const PIECE_BYTES = 1024 * 1024;

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
