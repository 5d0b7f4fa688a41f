import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { Call, CallContext, Reply } from '../connector.js';
import { readSamples } from './audio-source.js';
import type { BoundInput, BoundMap } from './bind.js';
import { type Encoded, encode, type Sources } from './encode.js';
import type { Outputs, TensorClient } from './model-tensors.js';
import { requested } from './read.js';
import type { Requests } from './requests.js';

/** What a stage kind needs to call a model. */
export interface TensorContext extends CallContext {
  readonly client: TensorClient;
  readonly map: BoundMap;
  /** Parameters of the call's requests. */
  readonly requests: Requests;
  /** What the kind says of calls. */
  readonly given?: Sources | undefined;
}

/** How one stage kind calls a model, through a tensor map. */
export interface TensorKind {
  invoke(call: Call, context: TensorContext): Promise<Reply>;
  /** What the smallest request carries; media are added by the map. */
  readonly example: Sources;
  /** What a call may carry besides; where it does not, a tensor that is not optional carries this. */
  readonly given?: Sources;
}

/** One response of a request, and the pixels of the image that was sent. */
export interface Response extends Pick<Encoded, 'pixels'> {
  readonly outputs: Outputs;
}

/**
 * Sends a request and yields its responses.
 * @param last whether it is the last one of the call; a sequence ends with it
 */
export async function* respond(
  { model }: Call,
  context: TensorContext,
  sources: Sources,
  last = true,
): AsyncGenerator<Response, void> {
  const { client, map, signal, requests, given } = context;
  const { tensors, pixels } = await encode(map, { ...standIns(map, given), ...sources }, context);
  const options = { outputs: requested(map), ...requests.next(last) };
  for await (const outputs of client.responses(model, tensors, signal, options)) yield { outputs, pixels };
}

/** What tensors that are not optional carry where the call says nothing. */
const standIns = ({ inputs }: BoundMap, given: Sources = {}): Sources => {
  const required = inputs.flatMap(({ from, optional }) => (from === undefined || optional ? [] : [from]));
  return Object.fromEntries(required.filter((from) => Object.hasOwn(given, from)).map((from) => [from, given[from]]));
};

/** The response of a request that has one; of several the outputs that came last. */
export async function answer(call: Call, context: TensorContext, sources: Sources): Promise<Response> {
  let outputs: Outputs = new Map();
  let pixels: Response['pixels'];
  for await (const response of respond(call, context, sources)) {
    outputs = new Map([...outputs, ...response.outputs]);
    pixels = response.pixels;
  }
  return { outputs, pixels };
}

/** A stage's input and options as sources, with the media that the map uses; the whole of it as `input`. */
export async function sourcesOf({ input, with: options }: Call, context: TensorContext): Promise<Sources> {
  const whole = { ...options, ...input };
  const { image, audio } = input as { image?: Artifact; audio?: Artifact };
  const wanted = (from: string) => context.map.inputs.find((entry) => entry.from === from);
  const picture = image && wanted('image') && (await fileOf(image, 'image', context));
  const [sound] = [audio && wanted('audio')];
  const samples = audio && sound && (await soundOf(audio, sound, context));
  return {
    ...whole,
    image: picture || undefined,
    audio: samples || undefined,
    ...(samples instanceof Float32Array && { length: samples.length }),
    input: plain(input),
  };
}

const soundOf = (audio: Artifact, entry: BoundInput, context: TensorContext) =>
  entry.encoding === 'file' ? fileOf(audio, 'audio', context) : readSamples(audio, entry, context);

/** The bytes of a file. */
export async function fileOf(artifact: Artifact, field: string, { bytes }: Pick<CallContext, 'bytes'>) {
  if (!bytes) throw new MillraceError('INTERNAL', `this host cannot read the file of ${field}`);
  return bytes(artifact);
}

/** The input without media: their addresses mean nothing to a model server. */
const plain = (input: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(input).filter(([name]) => !['image', 'audio', 'video'].includes(name)));
