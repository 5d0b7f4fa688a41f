import { readFileSync } from 'node:fs';
import type { KeyOf, KeyReference, LinkOf } from '../activities/connectors/index.js';
import type { ModelsConfig } from '../activities/pools/models.js';
import { type MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { withoutSlash } from '../runtime/without-slash.js';
import { endpointsOf } from './endpoints.js';
import type { Settings } from './settings.js';

/** Value of `LLM_API_KEY` for servers that need none. */
const NONE = 'none';

/**
 * The key of an endpoint: the one that its pool refers to, else `LLM_API_KEY`, which is sent to the addresses of
 * `LLM_BASE_URL` only.
 */
export function keysOf(settings: Settings): KeyOf {
  const { llm } = endpointsOf(settings);
  return (endpoint, reference) => {
    if (reference !== undefined) return read(reference);
    const own = llm.includes(withoutSlash(endpoint));
    return own && settings.LLM_API_KEY !== NONE ? settings.LLM_API_KEY : undefined;
  };
}

/** Reads a pool's certificates and the values of its headers. */
export const linkOf: LinkOf = ({ tls, headers, serverName }) => {
  if (!tls && !headers && serverName === undefined) return undefined;
  return {
    ...(serverName !== undefined && { serverName }),
    ...(headers && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : read(value)]),
      ),
    }),
    ...(tls && { tls: Object.fromEntries(Object.entries(tls).map(([name, file]) => [name, pem(name, file)])) }),
  };
};

function pem(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidSetting(`tls.${name}`, `cannot read ${file}: ${messageOf(error)}`, 'models');
  }
}

/** A variable of the environment that a key or a header of a pool is in. */
export interface PoolVariable {
  readonly name: string;
  /** What is in it: `<pool>.apiKey` or `<pool>.headers.<name>`. */
  readonly field: string;
  /** Whether no worker starts without it. For an endpoint that is discovered it is read later. */
  readonly atStart: boolean;
}

/** The variables that pools name, one for each key or header. */
export const variablesOf = (models: ModelsConfig): readonly PoolVariable[] =>
  Object.entries(models).flatMap(([pool, { apiKey, headers = {}, discover }]) => {
    const references = Object.entries(headers).map(([name, value]) => [`headers.${name}`, value] as const);
    return [['apiKey', apiKey] as const, ...references].flatMap(([at, reference]) =>
      namesIn(reference).map((name) => ({ name, field: `${pool}.${at}`, atStart: discover === undefined })),
    );
  });

function namesIn(reference: KeyReference | string | undefined): readonly string[] {
  if (typeof reference !== 'object' || !('env' in reference)) return [];
  return typeof reference.env === 'string' ? [reference.env] : Object.values(reference.env);
}

/** Throws `INVALID_SETTING` if the reference cannot be resolved. Messages never contain the key. */
function read(reference: KeyReference): string {
  if ('env' in reference) {
    const { env } = reference;
    if (typeof env === 'string') return variable(env);
    return JSON.stringify(Object.fromEntries(Object.entries(env).map(([part, name]) => [part, variable(name)])));
  }
  let key: string;
  try {
    key = readFileSync(reference.file, 'utf8').trim();
  } catch (error) {
    throw invalid('file', `cannot read ${reference.file}: ${messageOf(error)}`);
  }
  const json = key.startsWith('{') ? onOneLine(key) : undefined;
  if (json !== undefined) return json;
  if (key === '' || /[\r\n]/.test(key))
    throw invalid('file', `${reference.file} must contain the key on a single line, or as JSON`);
  return key;
}

function variable(name: string): string {
  const value = process.env[name]?.trim();
  if (!value) throw invalid('env', `the environment has no ${name}`);
  return value;
}

/** A key of several parts, such as a service account's; undefined for what is no JSON. */
function onOneLine(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const invalid = (field: 'env' | 'file', message: string): MillraceError =>
  invalidSetting(`apiKey.${field}`, message, 'models');
