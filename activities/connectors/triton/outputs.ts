import { MillraceError } from '../../../pipelines/errors.js';
import type { Tensor } from './tensors.js';

/** The output of this name. Throws `INVALID_OUTPUT` when the model did not give it. */
export function outputOf(outputs: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = outputs.get(name);
  if (tensor) return tensor;
  const given = [...outputs.keys()].join(', ') || 'none';
  throw new MillraceError('INVALID_OUTPUT', `the model gave no output ${name} (its outputs: ${given})`);
}
