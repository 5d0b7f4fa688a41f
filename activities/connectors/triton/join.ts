import type { AnyTensor } from '../../../protocols/open-inference/index.js';
import { invalid, sizeOf } from '../../../protocols/open-inference/index.js';
import type { Format } from './formats.js';

/**
 * Joins the responses of a decoupled model to one request into one tensor, along the first dimension that varies: the
 * first -1 of the format, or the first dimension without a format. All other dimensions must be equal. Throws
 * `INVALID_OUTPUT` naming the tensor.
 */
export function joined(name: string, parts: readonly [AnyTensor, ...AnyTensor[]], format: Format | null): AnyTensor {
  const [first, ...others] = parts;
  if (others.length === 0) return first;
  const axis = format ? format.shape.indexOf(-1) : 0;
  if (axis === -1 || first.shape.length === 0) {
    throw invalid(
      { name },
      `${parts.length} responses of shape [${first.shape}], which cannot be joined along any dimension`,
    );
  }
  for (const { dtype, shape } of others) {
    const agrees =
      dtype === first.dtype &&
      shape.length === first.shape.length &&
      shape.every((size, i) => i === axis || size === first.shape[i]);
    if (!agrees) {
      throw invalid(
        { name },
        `${dtype} [${shape}] after ${first.dtype} [${first.shape}]: only dimension ${axis} may vary`,
      );
    }
  }
  const shape = first.shape.with(
    axis,
    parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0),
  );
  const rows = sizeOf(first.shape.slice(0, axis));
  const data = Array.from({ length: rows }, (_, row) =>
    parts.map((part) => {
      const width = part.data.length / rows;
      return part.data.slice(row * width, (row + 1) * width);
    }),
  ).flat(2);
  return { dtype: first.dtype, shape, data };
}
