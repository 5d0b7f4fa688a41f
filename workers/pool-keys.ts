import { readFileSync } from 'node:fs';
import type { KeyOf, KeyReference } from '../activities/connectors/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { endpointsOf } from './endpoints.js';
import type { Settings } from './settings.js';

/** What `LLM_API_KEY` holds where a server wants none. */
const NONE = 'none';

/**
 * The key of an endpoint: the one that its pool refers to, else `LLM_API_KEY` at the addresses of `LLM_BASE_URL` and at no
 * other. A key goes to no server that it was not meant for.
 */
export function keysOf(settings: Settings): KeyOf {
  const { llm } = endpointsOf(settings);
  return (endpoint, reference) => {
    if (reference !== undefined) return read(reference);
    const own = llm.includes(endpoint.replace(/\/+$/, ''));
    return own && settings.LLM_API_KEY !== NONE ? settings.LLM_API_KEY : undefined;
  };
}

/** Throws `INVALID_SETTING` where the reference leads to nothing; what it leads to is in no message. */
function read(reference: KeyReference): string {
  if ('env' in reference) {
    const key = process.env[reference.env]?.trim();
    if (!key) throw invalid('env', `the environment has no ${reference.env}`);
    return key;
  }
  let key: string;
  try {
    key = readFileSync(reference.file, 'utf8').trim();
  } catch (error) {
    throw invalid('file', `cannot read ${reference.file}: ${messageOf(error)}`);
  }
  if (key === '' || /[\r\n]/.test(key)) throw invalid('file', `${reference.file} is to hold one line, the key`);
  return key;
}

function invalid(field: 'env' | 'file', message: string): MillraceError {
  return new MillraceError('INVALID_SETTING', `models: apiKey.${field}: ${message}`, {
    fields: [{ field: `apiKey.${field}`, message }],
  });
}
