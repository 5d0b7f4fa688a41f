import type { ParameterValue, Tensor } from '../../protocols/open-inference/index.js';

export type ParameterValues = Readonly<Record<string, ParameterValue>>;

/** A tensor of a request, as bytes. */
export interface InputTensor extends Tensor {
  readonly parameters: ParameterValues;
}
