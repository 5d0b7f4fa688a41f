import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { limited } from '../../../runtime/limited.js';
import { baseUrl } from '../base-url.js';
import { bodyOf, opened, type Transport } from '../exchange.js';
import { answerScope, holds, type Scope } from '../http/index.js';
import { valueAt } from '../json-values.js';
import { SIGNS, type Sign } from './signs.js';

/** A server that has answered, as far as its answers show. */
export interface Discovered {
  readonly server: string;
  /** Entries of the models file, by the models' names made fit for it. */
  readonly pools: Readonly<Record<string, JsonObject>>;
  /** What a person has to add. */
  readonly notes: readonly string[];
}

/** For each answer; a server that is slower to say what it is has other troubles. */
const ANSWER_MS = 5_000;
/** Models beyond these are counted, not written. */
const MOST_MODELS = 100;

export interface DiscoverOptions {
  readonly transport?: Transport;
  /** Sent as a bearer token. */
  readonly key?: string;
  /** Models that the server has but does not list. */
  readonly models?: readonly string[];
  readonly device?: string;
  readonly signal: AbortSignal;
}

/**
 * What serves at a URL: the first sign that fits, by its questions alone (`SIGNS`). Undefined if nothing is known of it. Throws
 * `BACKEND_UNAVAILABLE` if nothing answers, `INVALID_SETTING` for what is no base URL.
 */
export async function discover(url: string, options: DiscoverOptions): Promise<Discovered | undefined> {
  const base = baseUrl(url, 'millrace models discover').replace(/\/v[123]$/, '');
  const answers = new Map<string, Scope | undefined>();
  const ask = async (path: string, method: string) => {
    const known = `${method} ${path}`;
    if (!answers.has(known)) answers.set(known, await answered(base + path, method, options));
    return answers.get(known);
  };
  for (const sign of SIGNS) {
    const paths = sign.path.includes('{model}')
      ? (options.models ?? []).map((model) => sign.path.replace('{model}', encodeURIComponent(model)))
      : [sign.path];
    for (const path of paths) {
      const scope = await ask(path, sign.method ?? 'GET');
      if (scope && sign.when.every((each) => holds(each, scope))) return found(sign, scope, base, options);
    }
  }
  if ([...answers.values()].some((scope) => scope !== undefined)) return undefined;
  throw new MillraceError('BACKEND_UNAVAILABLE', `nothing answers at ${base}`, { endpoint: base });
}

async function answered(
  url: string,
  method: string,
  { transport = fetch, key, signal }: DiscoverOptions,
): Promise<Scope | undefined> {
  const headers = {
    accept: 'application/json',
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...(method === 'POST' && { 'content-type': 'application/json' }),
  };
  try {
    const sent = { url, method, headers, ...(method === 'POST' && { body: '{}' }) };
    return await limited(ANSWER_MS, signal, async (own) => {
      const response = await opened(transport, sent, own);
      return answerScope(response, (await bodyOf(response, own)).toString('utf8'));
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MillraceError) throw error;
    return undefined;
  }
}

function found(
  sign: Sign,
  scope: Scope,
  base: string,
  { models = [], device = 'server', key }: DiscoverOptions,
): Discovered {
  const listed = [...new Set([...models, ...modelsIn(sign, scope)])];
  const { connector, preset, kind, base: below = '' } = sign.pool;
  const names = listed.length > 0 ? listed.slice(0, MOST_MODELS) : ['model'];
  const poolNames = namesOf(names);
  const pools = names.map((model, i) => [
    poolNames[i],
    {
      connector,
      kind: connector === 'openai' ? kindOf(model) : kind,
      model,
      endpoints: [{ url: base + below, device }],
      ...(preset !== undefined && { options: { preset } }),
    },
  ]);
  return {
    server: sign.server,
    pools: Object.fromEntries(pools) as Record<string, JsonObject>,
    notes: [
      ...(listed.length === 0 ? ['the server does not list its models: replace "model" by the name of one'] : []),
      ...(listed.length > MOST_MODELS
        ? [`the server has ${listed.length} models; the first ${MOST_MODELS} are here`]
        : []),
      ...(preset !== undefined && kind === 'infer'
        ? ['the kind is "infer" unless you know better: an answer does not tell what a model is for']
        : []),
      ...(String(scope.status) === '200'
        ? []
        : [
            key === undefined
              ? 'the server requires a key, and none was sent: add "apiKey": { "env": … }'
              : 'the server refuses the key that was sent',
          ]),
    ],
  };
}

function modelsIn({ models }: Sign, scope: Scope): string[] {
  const list = models && valueAt(scope as JsonObject, models.at);
  if (!models || !Array.isArray(list)) return [];
  const names = list.map((item: Json) => (isJsonObject(item) ? valueAt(item, models.name) : item));
  return names.filter((name) => typeof name === 'string' && name !== '' && name.length <= 256) as string[];
}

/** Of an OpenAI server's model: its name is all that tells. */
function kindOf(model: string): string {
  if (/rerank/i.test(model)) return 'rerank';
  if (/embed|minilm|bge-|e5-|gte-/i.test(model)) return 'embed';
  if (/whisper|transcri/i.test(model)) return 'transcribe';
  return /\btts\b|speech/i.test(model) ? 'synthesize' : 'chat';
}

/** Names of pools, one for each model: its own, with its owner's if another model has the same, numbered if that is taken. */
function namesOf(models: readonly string[]): string[] {
  const short = models.map((model) => poolName(model.split('/').at(-1) ?? ''));
  const shared = new Set(short.filter((name, i) => short.indexOf(name) !== i));
  const taken = new Set(short.filter((name) => !shared.has(name)));
  return short.map((name, i) => {
    if (!shared.has(name)) return name;
    const long = poolName(models[i] ?? '');
    let free = long;
    for (let number = 2; taken.has(free); number++) free = `${long}-${number}`;
    taken.add(free);
    return free;
  });
}

const poolName = (model: string): string =>
  model
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'model';
