import { status } from '@grpc/grpc-js';
import {
  CODECS,
  type InferRequest,
  type InferResponse,
  invalid,
  isDtype,
  type Parameters,
  sizeOf,
  type Tensor,
  tensorsOf,
} from '../../../../protocols/open-inference/index.js';
import { type Region, type Regions, readAll, writeAll } from './regions.js';

/** Smaller tensors go by value, which is faster at 150 kB and slower at 1 MB (`npm run bench:tensors`). */
export const LEAST_BYTES = 512 * 1024;
/** Tensors of a region begin at multiples of this, a line of the processor's cache. */
const ALIGNMENT = 64;
/** Outputs whose size is remembered. */
const MOST_OUTPUTS = 1_000;

/** Where a tensor lies in a region. */
interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** A request whose large tensors are in a region. */
export interface SharedRequest {
  readonly request: InferRequest;
  /** The outputs of its response. */
  read(response: InferResponse): Promise<ReadonlyMap<string, Tensor>>;
  /** The region is free for the next call. */
  end(): void;
  /** The call failed: the server may still use the region. Does not wait for the server, which may be what hangs. */
  fail(): void;
}

/**
 * Puts the large tensors of requests into shared memory. Inputs as they are; an output where the largest that the model
 * has returned under this name is known, with room for half as much again, rounded up with the region. One that is
 * larger after all fails the call after the model has run (`isTooSmall`): the caller repeats it by value, so models
 * with state must not get outputs this way.
 */
export class SharedTensors {
  readonly regions: Regions;
  /** Bytes of the largest output, by model and name. */
  readonly #outputs = new Map<string, number>();

  constructor(regions: Regions) {
    this.regions = regions;
  }

  /** Undefined if nothing of the request is large, or no region can be had. */
  async place(
    request: InferRequest,
    { outputs, signal }: { readonly outputs: boolean; readonly signal: AbortSignal },
  ): Promise<SharedRequest | undefined> {
    let end = 0;
    const reserve = (bytes: number): Place => {
      const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      end = offset + bytes;
      return { offset, bytes };
    };
    const raws = request.raw_input_contents;
    const sent = raws.map((raw) => (raw.length >= LEAST_BYTES ? reserve(raw.length) : undefined));
    const wanted = (request.outputs ?? []).map(({ name }) => {
      const known = outputs ? this.#outputs.get(keyOf(request.model_name, name)) : undefined;
      return known === undefined ? undefined : reserve(Math.ceil(known * 1.5));
    });
    if (end === 0) return undefined;
    const region = await this.regions.take(end, signal);
    if (!region) return undefined;
    try {
      for (const [i, place] of sent.entries()) if (place) await writeAll(region.file, raws[i] ?? EMPTY, place.offset);
    } catch (error) {
      void this.regions.discard(region);
      throw error;
    }
    const where = (place: Place | undefined) => place && { parameters: parametersOf(region, place) };
    return {
      request: {
        ...request,
        inputs: request.inputs.map((input, i) => ({ ...input, ...where(sent[i]) })),
        outputs: (request.outputs ?? []).map((output, i) => ({ ...output, ...where(wanted[i]) })),
        raw_input_contents: raws.filter((_, i) => !sent[i]),
      },
      read: async (response) => {
        const places = new Map((request.outputs ?? []).map(({ name }, i) => [name, wanted[i]]));
        return this.#read(response, region, places);
      },
      end: () => this.regions.release(region),
      fail: () => void this.regions.discard(region),
    };
  }

  /** Remembers how large the outputs of a model are. */
  note(model: string, outputs: ReadonlyMap<string, Tensor>): void {
    for (const [name, { raw, datatype }] of outputs) {
      // The length of BYTES is not in the response, so they stay by value.
      if (raw.length < LEAST_BYTES || datatype === 'BYTES') continue;
      const key = keyOf(model, name);
      const known = this.#outputs.get(key) ?? 0;
      if (known === 0 && this.#outputs.size >= MOST_OUTPUTS) continue;
      this.#outputs.set(key, Math.max(known, raw.length));
    }
  }

  async #read(
    response: InferResponse,
    region: Region,
    places: ReadonlyMap<string, Place | undefined>,
  ): Promise<ReadonlyMap<string, Tensor>> {
    const outputs = new Map(tensorsOf(response));
    for (const [name, tensor] of outputs) {
      const place = places.get(name);
      // A server without the extension answers by value.
      if (!place || tensor.raw.length > 0 || !isDtype(tensor.datatype) || tensor.datatype === 'BYTES') continue;
      const bytes = sizeOf(tensor.shape) * CODECS[tensor.datatype].width;
      if (!(bytes >= 0 && bytes <= place.bytes))
        throw invalid(tensor, `more than the ${place.bytes} bytes of its place`);
      outputs.set(name, { ...tensor, raw: await readAll(region.file, bytes, place.offset) });
    }
    return outputs;
  }
}

const EMPTY = Buffer.alloc(0);

const keyOf = (model: string, output: string): string => JSON.stringify([model, output]);

const parametersOf = ({ name }: Region, { offset, bytes }: Place): Parameters => ({
  shared_memory_region: { string_param: name },
  shared_memory_byte_size: { int64_param: bytes },
  ...(offset > 0 && { shared_memory_offset: { int64_param: offset } }),
});

/** The server does not know the region, as after a restart. The model has not run. */
export const isUnknownRegion = (error: unknown): boolean =>
  codeOf(error) === status.NOT_FOUND && /unable to find .*shared memory region/i.test(detailsOf(error));

/** An output was larger than its place. The model has run. */
export const isTooSmall = (error: unknown): boolean =>
  // In front may stand which ensemble it is in.
  /shared memory size specified with the request for output/i.test(detailsOf(error));

const codeOf = (error: unknown): unknown => (error as { readonly code?: unknown }).code;

const detailsOf = (error: unknown): string => String((error as { readonly details?: unknown }).details ?? '');
