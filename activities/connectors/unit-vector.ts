import { MillraceError } from '../../pipelines/errors.js';

/** Decimal digits that distinguish any two 32-bit floats: enough for an embedding in JSON. */
const FLOAT32_DIGITS = 9;

/**
 * The vector scaled to length 1 (L2), as `embed` stages return it. Throws `INVALID_OUTPUT` for a vector without a
 * direction.
 */
export function unitVector(values: Iterable<number>): number[] {
  const vector = [...values];
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (!(length > 0 && Number.isFinite(length))) {
    throw new MillraceError('INVALID_OUTPUT', `an embedding of ${vector.length} values and length ${length}`);
  }
  return vector.map((value) => Number((value / length).toPrecision(FLOAT32_DIGITS)));
}
