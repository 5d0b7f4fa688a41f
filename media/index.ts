/** Media as bytes and as samples. The only folder that knows file formats. */

export { AudioEncoder, GIVEN_FORMATS, type GivenAudio, type GivenFormat } from './audio-encoder.js';
export { type AudioPort, createAudioPort } from './audio-port.js';
export { createBytesPort } from './bytes-port.js';
export { createCodeArtifacts } from './code-artifacts.js';
export { conformInput } from './conform-input.js';
export { audioLike, convertAudio } from './convert-audio.js';
export { decodeImage, type Pixels } from './decode-image.js';
export { MOST_PIXELS } from './decoders.js';
export { extensionOf } from './encodings.js';
export { type FfmpegBench, ffmpegOver } from './ffmpeg-work.js';
export { inspectorOf } from './inspectors.js';
export { joinAudio } from './join-audio.js';
export type { LiveAudio } from './live-wav.js';
export { mapMedia, mediaFields, schemasAt, type TakeMedia } from './media-walk.js';
export { decodeWav } from './pcm.js';
export { grayPng, pngRowBytes } from './png.js';
export { decodedSize, type MediaFacts, probeMedia } from './probe-media.js';
export { readWhole } from './read-whole.js';
export { clamp, joinedFloats, joinedInts, toInt16 } from './samples.js';
export { withImage } from './sharp.js';
export { sizedWav } from './sized-wav.js';
export { isSampleRate, SAMPLE_RATES } from './wav-format.js';
export { wavHeader, writeWav } from './write-wav.js';
