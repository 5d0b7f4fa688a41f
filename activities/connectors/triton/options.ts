import { z } from 'zod';
import type { PoolOptions } from '../connector.js';
import { type TensorMap, tensorMap } from '../tensors/index.js';

/** The options of a pool of Triton's. */
export interface TritonOptions {
  readonly tensors?: TensorMap | undefined;
  /** Version of the model. Absent: the one that the server's version policy chooses, the highest by default. */
  readonly version?: string | undefined;
  /**
   * Compression of requests; whether the server compresses its answers is set at its start
   * (`--grpc-infer-response-compression-level`). Default none: it costs more than it saves within a data centre.
   */
  readonly compression?: 'none' | 'deflate' | 'gzip' | undefined;
  /** `attempt`: requests carry what is left of the attempt as the timeout of their wait in the server's queue. */
  readonly timeout?: 'off' | 'attempt' | undefined;
  /** Most bytes of a message. Default 64 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Most bytes of shared memory with a server on the same node. Absent: tensors go by value. */
  readonly sharedMemoryBytes?: number | undefined;
}

const MEBIBYTE = 1024 * 1024;
/** gRPC's own limit is 2 GiB; a worker holds a message several times over. */
const MOST_MESSAGE = 1_024 * MEBIBYTE;
const MOST_SHARED = 16_384 * MEBIBYTE;

export const tritonOptions = (kind: string): z.ZodType<TritonOptions & PoolOptions> =>
  z.strictObject({
    tensors: tensorMap(kind).optional(),
    version: z
      .string()
      .regex(/^[1-9]\d{0,18}$/, 'must be a number as text, such as "3"')
      .optional(),
    compression: z.enum(['none', 'deflate', 'gzip']).optional(),
    timeout: z.enum(['off', 'attempt']).optional(),
    maxMessageBytes: z.int().min(MEBIBYTE).max(MOST_MESSAGE).optional(),
    sharedMemoryBytes: z.int().min(MEBIBYTE).max(MOST_SHARED).optional(),
  });
