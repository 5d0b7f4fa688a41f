import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StageKindName } from '../../pipelines/stages/index.js';
import type { SampleAudio } from './sample-audio.js';

/** Calls of a stage kind by which a model is measured. */
export interface Example {
  /** The column of a trace that says what a call's time depends on; absent: on nothing but the batch. */
  readonly variable?: string;
  /** Sizes that are measured; one that means nothing where there is no variable. */
  readonly sizes: readonly number[];
  /** The stage's options. */
  readonly with: JsonObject;
  /** No two serials give the same input: a server's cache of responses must not answer. */
  input(size: number, serial: number): JsonObject;
}

/**
 * Sizes lie within what one call of the server takes, for longer input is sent in several: 30 s of audio and 400
 * characters to speak. Beyond the last the simulator goes on in proportion.
 */
const AUDIO_SECONDS = [2, 5, 10, 25];
const SPOKEN_CHARACTERS = [20, 60, 150, 350];
/** A sentence, and a passage: what embedders and classifiers see. */
const READ_CHARACTERS = [40, 400];
const PASSAGES = [2, 8];

const PROSE =
  'the river runs past the old mill and under the bridge where children count the boats that carry grain to the town ' +
  'every morning a man with a grey hat opens the gate and looks at the water before he goes to work in the garden ';

/** Prose of this many characters that begins with its serial. */
export function prose(characters: number, serial: number): string {
  const start = `${serial} `;
  return (start + PROSE.repeat(Math.ceil(characters / PROSE.length)))
    .slice(0, Math.max(characters, start.length + 3))
    .trim();
}

/** What a load without sizes is taken to have, of the sizes that are measured. */
export const typicalOf = (sizes: readonly number[]): number => sizes[Math.floor((sizes.length - 1) / 2)] ?? 1;

type Make = (options: JsonObject, audio: SampleAudio) => Example;
const sized =
  (
    variable: string,
    sizes: readonly number[],
    input: (size: number, serial: number, audio: SampleAudio) => JsonObject,
  ): Make =>
  (options, audio) => ({
    variable,
    sizes,
    with: options,
    input: (size, serial) => input(size, serial, audio),
  });
const text = (size: number, serial: number): JsonObject => ({ text: prose(size, serial) });

const EXAMPLES: Partial<Record<StageKindName, Make>> = {
  transcribe: sized('audio_s', AUDIO_SECONDS, (size, serial, audio) => ({
    audio: { ...audio.artifact(size, serial) },
  })),
  synthesize: sized('spoken_characters', SPOKEN_CHARACTERS, text),
  embed: sized('characters', READ_CHARACTERS, text),
  classify: sized('characters', READ_CHARACTERS, text),
  rerank: sized('passages', PASSAGES, (size, serial) => ({
    query: prose(40, serial),
    passages: Array.from({ length: size }, (_, i) => ({ id: String(i), text: prose(200, serial + i) })),
  })),
  infer: (options) => ({
    sizes: [1],
    with: options,
    input: (_, serial) => tensors(options.inputs as unknown as Readonly<Record<string, Format>>, serial),
  }),
};

/** Calls of a kind; undefined for a kind that is not measured by batch. */
export const exampleOf = (kind: StageKindName, options: JsonObject, audio: SampleAudio): Example | undefined =>
  EXAMPLES[kind]?.(options, audio);

interface Format {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Tensors of the stated forms, a dimension that is left open being 1; numbers are the serial, within a byte's range. */
function tensors(inputs: Readonly<Record<string, Format>>, serial: number): JsonObject {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape: stated }]) => {
      const shape = stated.map((size) => (size === -1 ? 1 : size));
      const element: Json = dtype === 'BYTES' ? String(serial) : dtype === 'BOOL' ? serial % 2 === 1 : serial % 128;
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { dtype, shape: [...shape], data: new Array<Json>(count).fill(element) }];
    }),
  );
}
