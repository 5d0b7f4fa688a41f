import type { Json, JsonObject } from '../../pipelines/json.js';
import type { DefinedKinds } from '../../pipelines/stages/index.js';
import type { SampleAudio } from './sample-audio.js';

/** Calls of a stage kind by which a model is measured. */
export interface Example {
  /** The trace column that determines a call's time; absent: the time depends only on the batch. */
  readonly variable?: string;
  /** Sizes to measure; a placeholder if there is no variable. */
  readonly sizes: readonly number[];
  /** The stage's options. */
  readonly with: JsonObject;
  /** Different serials give different inputs, so that a server's response cache does not answer. */
  input(size: number, serial: number): JsonObject;
}

/**
 * Sizes stay within a single call to the server, because longer input is split: 30 s of audio and 400 characters to
 * speak. Beyond the last size the simulator extrapolates in proportion.
 */
const AUDIO_SECONDS = [2, 5, 10, 25];
const SPOKEN_CHARACTERS = [20, 60, 150, 350];
/** A sentence, and a passage: typical input of embedders and classifiers. */
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

/** The typical size among the measured ones, for a load without sizes. */
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

const EXAMPLES: Readonly<Record<string, Make>> = {
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

/** Calls of a kind; undefined for one that is not measured by batch, or that `defineKind` gives no example. */
export function exampleOf(
  kind: string,
  options: JsonObject,
  audio: SampleAudio,
  defined?: DefinedKinds,
): Example | undefined {
  const example = defined?.get(kind)?.example;
  if (example) return { sizes: [1], with: options, input: (_, serial) => example(serial) };
  return EXAMPLES[kind]?.(options, audio);
}

interface Format {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Tensors of the stated forms, with open dimensions set to 1; numbers are the serial, within a byte's range. */
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
