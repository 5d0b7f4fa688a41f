import { z } from 'zod';
import type { PoolOptions } from '../connector.js';
import { type TensorMap, tensorMap } from '../tensors/index.js';

/** The options of a pool of this connector. */
export interface OipRestOptions {
  readonly tensors?: TensorMap | undefined;
}

export const oipRestOptions = (kind: string): z.ZodType<OipRestOptions & PoolOptions> =>
  z.strictObject({ tensors: tensorMap(kind).optional() });
