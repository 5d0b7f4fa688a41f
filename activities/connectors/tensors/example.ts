import { deflateSync } from 'node:zlib';
import { grayPng, writeWav } from '../../../media/index.js';
import { DEFAULT_RATE } from './audio-source.js';
import type { BoundInput, BoundMap } from './bind.js';
import type { Sources } from './encode.js';

/** Side of an example image where the model leaves it open, in pixels. */
const SIDE = 64;
const GRAY = 128;

/** What the smallest request of a map carries: the kind's example, a gray image, a tenth of a second of silence. */
export function exampleOf(map: BoundMap, example: Sources): Sources {
  const [image, audio] = mediaNeeded(map, example);
  const { sampleRate = DEFAULT_RATE } = audio ?? {};
  const silence = new Float32Array(Math.ceil(sampleRate / 10));
  const wav = () => Buffer.concat([...writeWav(new Int16Array(silence.length), { sampleRate })]);
  return {
    ...example,
    ...(image && { image: image.encoding === 'file' ? grayFile(SIDE) : grayPixels(image) }),
    ...(audio && { audio: audio.encoding === 'file' ? wav() : silence, length: silence.length }),
    input: example,
  };
}

/** The map's inputs of media. Optional ones are left out where something else is sent: a model of several kinds takes one at a time. */
function mediaNeeded({ inputs }: BoundMap, example: Sources): readonly (BoundInput | undefined)[] {
  let sent = inputs.some(({ from = '' }) => example[from] !== undefined);
  return ['image', 'audio'].map((from) => {
    const input = inputs.find((each) => each.from === from);
    if (!input || (input.optional && sent)) return undefined;
    sent = true;
    return input;
  });
}

function grayPixels({ width = SIDE, height = SIDE, colors }: BoundInput) {
  const channels = colors === 'gray' ? 1 : 3;
  const data = Buffer.alloc(width * height * channels, GRAY);
  const placed = { left: 0, top: 0, across: 1, down: 1 };
  return { data, width, height, channels, source: { width, height }, placed };
}

/** A square of one gray. */
function grayFile(side: number): Buffer {
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side, GRAY)]);
  const rows = Buffer.concat(Array.from({ length: side }, () => row));
  return grayPng({ width: side, height: side, depth: 8 }, deflateSync(rows));
}
