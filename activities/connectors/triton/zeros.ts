import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import type { Dtype } from '../../../pipelines/media.js';
import type { Element } from '../../../protocols/open-inference/index.js';
import { isDtype, sizeOf, toWire } from '../../../protocols/open-inference/index.js';
import { MOST_ZEROS } from '../tensor-format.js';
import type { TritonClient } from './client.js';
import { mapError } from './errors.js';
import { sequenceId } from './requests.js';

/** Codes of errors that only a live model returns: it has examined its input. */
const ALIVE: ReadonlySet<ErrorCode> = new Set(['BACKEND_REJECTED', 'BACKEND_ERROR', 'INVALID_OUTPUT']);

/**
 * A call of a model known only by its metadata: zeros (false, empty texts) in the smallest shape that it accepts, up to
 * the first response; only readiness is checked if the inputs are large. A model may reject zeros: an error from the
 * model also proves that it is alive.
 */
export async function probeWithZeros(model: string, client: TritonClient, signal: AbortSignal): Promise<void> {
  const described = (await client.tensors(model, signal)).inputs.map(({ shape, ...tensor }) => ({
    ...tensor,
    shape: shape.map((size) => (size === -1 ? 1 : size)),
  }));
  if (described.reduce((sum, { shape }) => sum + sizeOf(shape), 0) > MOST_ZEROS) return client.ready(model, signal);
  const inputs = described.flatMap(({ name, datatype, shape }) =>
    isDtype(datatype) ? [toWire(name, zeros(datatype, shape))] : [],
  );
  const { sequential } = await client.traits(model, signal);
  const parameters = {
    sequence_id: { int64_param: sequenceId() },
    sequence_start: { bool_param: true },
    sequence_end: { bool_param: true },
  };
  try {
    for await (const _ of client.responses(model, inputs, signal, sequential ? { parameters } : {})) return;
  } catch (error) {
    if (signal.aborted) throw error;
    const mapped = error instanceof MillraceError ? error : mapError(error, { endpoint: '', model, signal });
    if (!ALIVE.has(mapped.code)) throw error;
  }
}

const zeros = (dtype: Dtype, shape: readonly number[]) => ({
  dtype,
  shape,
  data: new Array<Element>(sizeOf(shape)).fill(dtype === 'BYTES' ? '' : dtype === 'BOOL' ? false : 0),
});
