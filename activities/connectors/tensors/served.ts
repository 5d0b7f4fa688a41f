import { MillraceError } from '../../../pipelines/errors.js';
import type { Tensor } from '../../../protocols/open-inference/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import { type BoundMap, bind, bindImage } from './bind.js';
import { DEFAULT_MAPS } from './defaults.js';
import { describeMap } from './describe.js';
import { encode } from './encode.js';
import { exampleOf } from './example.js';
import type { TensorKind } from './kind.js';
import { chat } from './kinds/chat.js';
import { classify } from './kinds/classify.js';
import { detect } from './kinds/detect.js';
import { embed } from './kinds/embed.js';
import { rerank } from './kinds/rerank.js';
import { synthesize } from './kinds/synthesize.js';
import { transcribe } from './kinds/transcribe.js';
import type { TensorMap } from './map-schema.js';
import type { TensorClient } from './model-tensors.js';
import { requested } from './read.js';
import type { Requests } from './requests.js';

/** The stage kinds that a tensor map serves. */
export const TENSOR_KINDS: ReadonlyMap<string, TensorKind> = new Map([
  ['chat', chat],
  ['transcribe', transcribe],
  ['embed', embed],
  ['synthesize', synthesize],
  ['classify', classify],
  ['rerank', rerank],
  ['detect', detect],
]);

/** Models of one server, called through the tensor map of their pools. */
export class TensorModels {
  readonly #client: TensorClient;
  readonly #map: TensorMap | undefined;
  /** By kind and model. Forgotten after a failure: the model may have been replaced. */
  readonly #bound = new Map<string, BoundMap>();

  /** `map`: of the pool. Absent: those of Millrace's own models. */
  constructor(client: TensorClient, map: TensorMap | undefined) {
    this.#client = client;
    this.#map = map;
  }

  async invoke(call: Call, context: CallContext, requests: Requests): Promise<Reply> {
    const { kind, model } = call;
    const served = kindOf(kind);
    return this.#with(kind, model, context.signal, (map) =>
      served.invoke(call, { ...context, client: this.#client, map, requests, given: served.given }),
    );
  }

  /** The smallest call that runs the model. */
  async probe(kind: string, model: string, signal: AbortSignal, requests: Requests): Promise<void> {
    const { example, given } = kindOf(kind);
    await this.#with(kind, model, signal, async (map) => {
      const { tensors } = await encode(map, { ...given, ...exampleOf(map, example) }, { signal });
      const options = { outputs: requested(map), ...requests.next(true) };
      for await (const _ of this.#client.responses(model, tensors, signal, options)) return;
    });
  }

  /**
   * An image as an input of the model, for stages that name tensors themselves: by the map's entry of this name, else by
   * the model's metadata alone. Throws what decoding an image throws.
   */
  async imageAs(
    model: string,
    name: string,
    bytes: Uint8Array,
    context: Pick<CallContext, 'signal' | 'tenant'>,
  ): Promise<Tensor> {
    const key = `image ${model} ${name}`;
    const known = this.#bound.get(key);
    const entry = { [name]: this.#map?.inputs[name] ?? IMAGE };
    const map = known ?? bindImage(entry, await this.#client.tensors(model, context.signal));
    this.#bound.set(key, map);
    const { tensors } = await encode(map, { image: bytes }, context);
    return tensors[0] as Tensor;
  }

  /** A line about each tensor of the map. Throws `BACKEND_REJECTED` if it does not fit the model. */
  async describe(kind: string, model: string, signal: AbortSignal): Promise<readonly string[]> {
    return describeMap(bind(mapOf(kind, this.#map), await this.#client.tensors(model, signal)));
  }

  async #with<T>(kind: string, model: string, signal: AbortSignal, work: (map: BoundMap) => Promise<T>): Promise<T> {
    const key = `${kind} ${model}`;
    try {
      let bound = this.#bound.get(key);
      if (!bound) {
        const map = mapOf(kind, this.#map);
        bound = bind(map, this.#map || !isComplete(map) ? await this.#client.tensors(model, signal) : UNKNOWN);
        this.#bound.set(key, bound);
      }
      return await work(bound);
    } catch (error) {
      if (!signal.aborted) this.#bound.delete(key);
      throw error;
    }
  }
}

/** The maps of Millrace's own models say everything: their calls wait for no metadata. */
const isComplete = ({ inputs }: TensorMap): boolean =>
  Object.values(inputs).every(({ dtype, shape, optional }) => dtype && shape && !optional);

const IMAGE = { from: 'image', optional: false } as const;

const UNKNOWN = { inputs: [], outputs: [] };

function kindOf(kind: string): TensorKind {
  const found = TENSOR_KINDS.get(kind);
  if (found) return found;
  const known = [...TENSOR_KINDS.keys()].join(', ');
  throw new MillraceError(
    'BACKEND_REJECTED',
    `no model serves the stage kind "${kind}" by tensors (there are: ${known})`,
  );
}

function mapOf(kind: string, given: TensorMap | undefined): TensorMap {
  const map = given ?? DEFAULT_MAPS[kind];
  if (map) return map;
  throw new MillraceError('BACKEND_REJECTED', `a pool of the kind ${kind} needs a tensor map: options.tensors`);
}
