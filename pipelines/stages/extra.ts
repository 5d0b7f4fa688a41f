import { z } from 'zod';

/** Members of a request that the connector sets itself. */
const OWN = ['model', 'messages', 'stream', 'stream_options', 'n', 'input', 'prompt', 'query', 'documents', 'file'];

/** `extra` of a pool or a stage: further members of a request's body, as the server names them. */
export const extraSchema = z
  .record(z.string(), z.json())
  .refine((given) => OWN.every((name) => !Object.hasOwn(given, name)), {
    error: `must not set ${OWN.join(', ')}: the connector does`,
  });
