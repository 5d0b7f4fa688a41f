import type { ParameterDoc } from './route-doc.js';

/** The headers that `persistenceOf` reads and that callers set themselves. */
export const PERSISTENCE_HEADERS: Readonly<Record<string, ParameterDoc>> = {
  'Millrace-On-Leave': {
    description:
      'What happens to the run if the client disconnects or no longer waits; by default, what the pipeline says',
    schema: { type: 'string', enum: ['cancel', 'continue'] },
  },
  'x-stainless-retry-count': {
    description:
      'Number of the retry, as client libraries count them: a retry gets the run of the latest equal request',
    schema: { type: 'integer', minimum: 0 },
  },
};
