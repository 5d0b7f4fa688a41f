import type { ParameterDoc } from './route-doc.js';

/** The headers that `persistenceOf` reads and that callers set themselves. */
export const PERSISTENCE_HEADERS: Readonly<Record<string, ParameterDoc>> = {
  'Millrace-On-Leave': {
    description: 'What happens to the run if the client disconnects or no longer waits; the pipeline has a default',
    schema: { type: 'string', enum: ['cancel', 'continue'] },
  },
  'x-stainless-retry-count': {
    description:
      'Which retry of the client this is, as client libraries count: a retry gets the run of the latest equal request',
    schema: { type: 'integer', minimum: 0 },
  },
};
