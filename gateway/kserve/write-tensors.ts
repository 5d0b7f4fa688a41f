import { type AudioEncoder, isSampleRate, joinedFloats, SAMPLE_RATES } from '../../media/index.js';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { isMediaKind, type Tensor as TensorValue } from '../../pipelines/media.js';
import { bytesTensor, fp32Tensor, type Tensor, toWire } from '../../protocols/open-inference/index.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import { bytesOf } from '../http/output-media.js';
import { SMALL_BYTES } from '../http/response-memory.js';
import type { TensorField } from './fields.js';
import type { ParameterValues } from './input-tensor.js';
import { RATE } from './samples.js';

/** A tensor of a response. */
export interface OutputTensor extends Tensor {
  readonly parameters: ParameterValues;
  /** Its elements are files, which JSON can only contain as base64. */
  readonly files: boolean;
}

/** Request parameter: returns all audio as samples of this rate. */
const OUTPUT_RATE = 'output_sample_rate';

export interface WriteOptions {
  readonly store: ArtifactStore;
  readonly encoder: Pick<AudioEncoder, 'samples'>;
  readonly tenant: string;
  /** Most bytes of media in a response, which is built in memory. */
  readonly maxBytes: number;
  /** Parameters of the request. */
  readonly parameters: ParameterValues;
  /** Parameters of the requested outputs, by name. */
  readonly requested: ReadonlyMap<string, ParameterValues>;
  readonly signal: AbortSignal;
  /** Counts bytes of the response before they are read. Throws `BODY_MEMORY_FULL`. */
  readonly take?: ((bytes: number) => void) | undefined;
}

/**
 * Converts a run's output to tensors: the requested ones, or all. An absent field becomes an empty tensor of shape [0].
 * Throws `RESULT_TOO_LARGE`, `BODY_MEMORY_FULL`, and `INVALID_INPUT` for parameters that an output does not support.
 */
export async function writeTensors(
  fields: readonly TensorField[],
  output: JsonObject,
  options: WriteOptions,
): Promise<OutputTensor[]> {
  const wanted = options.requested.size === 0 ? fields : fields.filter(({ name }) => options.requested.has(name));
  const budget = { left: options.maxBytes, take: options.take };
  const tensors: OutputTensor[] = [];
  for (const field of wanted) tensors.push(await tensorOf(field, output[field.name] ?? null, budget, options));
  for (const { raw, files, parameters } of tensors) {
    if (!files && parameters[RATE] === undefined && raw.length > SMALL_BYTES) options.take?.(raw.length);
  }
  return tensors;
}

type Budget = { left: number; readonly take: WriteOptions['take'] };

async function tensorOf(field: TensorField, value: Json, budget: Budget, options: WriteOptions): Promise<OutputTensor> {
  const { name, holds, datatype, list } = field;
  const plain = (tensor: Tensor): OutputTensor => ({ ...tensor, parameters: {}, files: false });
  if (value === null) return plain({ name, datatype, shape: [0], raw: Buffer.alloc(0) });
  if (holds === 'tensor') return plain(toWire(name, value as unknown as TensorValue));
  const items = list ? (value as readonly Json[]) : [value];
  if (isMediaKind(holds)) {
    const rate = options.requested.get(name)?.[RATE] ?? options.parameters[OUTPUT_RATE];
    if (holds === 'audio' && !list && rate !== undefined) return samplesOf(field, value, rate, budget, options);
    const files: Buffer[] = [];
    for (const item of items) files.push(await fileOf(field, item, budget, options));
    return { ...bytesTensor(name, [files.length], files), parameters: {}, files: true };
  }
  const data = holds === 'json' ? items.map((item) => JSON.stringify(item)) : items;
  return plain(toWire(name, { dtype: datatype, shape: [items.length], data: data as (string | number | boolean)[] }));
}

/** Checks the sample rates that a request wants, before its run. Throws `INVALID_INPUT`. */
export function expectOutputRates(parameters: ParameterValues, requested: WriteOptions['requested']): void {
  const wanted = [[OUTPUT_RATE, parameters[OUTPUT_RATE]], ...[...requested].map(([name, own]) => [name, own[RATE]])];
  for (const [name, rate] of wanted) if (rate !== undefined) outputRate(String(name), rate);
}

function outputRate(name: string, rate: ParameterValues[string]): number {
  if (typeof rate === 'number' && Number.isInteger(rate) && isSampleRate(rate)) return rate;
  const { least, most } = SAMPLE_RATES;
  const message = `its sample rate must be a whole number of Hz from ${least} to ${most}, not ${rate}`;
  throw new MillraceError('INVALID_INPUT', `${name}: ${message}`, { fields: [{ field: name, message }] });
}

/** Audio as mono FP32 samples of a rate. */
async function samplesOf(
  { name }: TensorField,
  value: Json,
  rate: ParameterValues[string],
  budget: Budget,
  { store, encoder, tenant, signal }: WriteOptions,
): Promise<OutputTensor> {
  const sampleRate = outputRate(name, rate);
  // The store's own account: what an output says of its media is not trusted.
  const stored = await store.stat(tenant, artifactOf(name, value).uri);
  const chunks: Float32Array[] = [];
  for await (const chunk of encoder.samples(tenant, stored, sampleRate, signal)) {
    spend(name, chunk.byteLength, budget);
    chunks.push(chunk);
  }
  const samples = joinedFloats(chunks);
  return { ...fp32Tensor(name, [samples.length], samples), parameters: { [RATE]: sampleRate }, files: false };
}

async function fileOf(
  { name }: TensorField,
  item: Json,
  budget: Budget,
  { store, tenant }: WriteOptions,
): Promise<Buffer> {
  const artifact = artifactOf(name, item);
  spend(name, artifact.bytes, budget);
  const file = await bytesOf({ artifacts: store, tenant }, artifact);
  if (file !== undefined) return file;
  throw new MillraceError('INVALID_OUTPUT', `output tensor ${name}: its file is larger than the run says`);
}

function spend(name: string, bytes: number, budget: Budget): void {
  budget.left -= bytes;
  if (budget.left >= 0) {
    budget.take?.(bytes);
    return;
  }
  const message = `output tensor ${name}: with it the media exceed the limit of a response; GET the run’s artifacts instead`;
  throw new MillraceError('RESULT_TOO_LARGE', message, { fields: [{ field: name, message }] });
}

function artifactOf(name: string, value: Json): Artifact {
  if (isArtifact(value) && value.bytes >= 0) return value;
  throw new MillraceError('INVALID_OUTPUT', `output tensor ${name}: the run returned no media`);
}
