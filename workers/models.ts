import { readFileSync } from 'node:fs';
import type { Connectors } from '../activities/connectors/index.js';
import type { Pools } from '../activities/pools/index.js';
import { connectorOf, type ModelsConfig, parseModels } from '../activities/pools/models.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { isJsonObject } from '../pipelines/json.js';
import type { PoolDescription } from '../placement/place.js';
import { WatchedFile } from '../runtime/watched-file.js';
import type { Logger } from '../telemetry/logger.js';
import { endpointsOf } from './endpoints.js';
import { jsonOfSetting, parsedJson } from './setting-files.js';
import type { Settings } from './settings.js';

/**
 * The pool of each model that pipelines name: from the file of `MILLRACE_MODELS`, the configuration, or the models of the embedded stack
 * on the Triton and LLM servers of the settings.
 */
export async function loadModels(settings: Settings): Promise<ModelsConfig> {
  const { MILLRACE_MODELS: file, config } = settings;
  if (file === undefined && config.models !== undefined) return readModels(config.models, 'models', settings);
  if (file === undefined) return parseModels(embeddedModels(settings), 'the embedded models');
  return readModels(await jsonOfSetting('MILLRACE_MODELS', file), file, settings);
}

/**
 * Takes changes of the models file within a second: added, removed and changed pools and endpoints, in this worker. A
 * file that is not valid changes nothing, and is logged. What pipelines may name is fixed at the start of each process.
 */
export function watchModels(settings: Settings, pools: Pools, logger: Logger): { close(): void } | undefined {
  const { MILLRACE_MODELS: file } = settings;
  if (file === undefined) return undefined;
  let known = false;
  const read = (name: string) => {
    const models = readModels(parsedJson(readFileSync(name, 'utf8')), name, settings);
    if (known) {
      pools.reload(models);
      logger.info({ file: name, pools: Object.keys(models).length }, 'models file read again');
    }
    known = true;
  };
  return new WatchedFile(file, 'models', read, logger);
}

/** What placing needs to know about the pools. Throws `INVALID_SETTING` for a pool whose connector does not exist or fit. */
export const poolDescriptions =
  (models: ModelsConfig, connectors: Connectors) =>
  (name: string): PoolDescription | undefined => {
    const pool = models[name];
    if (!pool) return undefined;
    const { connector, kind, endpoints, price, contextTokens, modalities, microBatch, load, options } = pool;
    const named = [...new Set(endpoints.map(({ device }) => device))];
    // Those of a file are known only to the workers.
    const devices = named.length > 0 ? named : ['discovered'];
    const served = connectorOf(name, pool, connectors);
    const capabilities = served.capabilitiesOf?.(pool) ?? served.capabilities;
    return {
      connector,
      kind,
      devices,
      capabilities,
      ...(price && { price }),
      ...(contextTokens !== undefined && { contextTokens }),
      ...(modalities && { modalities }),
      ...(microBatch && { microBatch }),
      ...(load && { onDemand: true as const }),
      ...(isJsonObject(options?.extra) && { extra: options.extra }),
    };
  };

/** The models of a file or of the configuration, with the settings that their addresses name. */
function readModels(value: unknown, source: string, settings: Settings): ModelsConfig {
  const { triton, llm } = endpointsOf(settings);
  const named: Readonly<Record<string, readonly string[]>> = { TRITON_URL: triton, LLM_BASE_URL: llm };
  const models = Object.entries(parseModels(value, source)).map(([name, pool]) => {
    const endpoints = pool.endpoints.map((endpoint, i) => {
      const url = endpoint.url.replace(/\$\{([^}]*)\}/g, (_, setting: string) => {
        const [address, ...others] = (Object.hasOwn(named, setting) && named[setting]) || [];
        if (address !== undefined && others.length === 0) return address;
        const message = address
          ? `${setting} names ${others.length + 1} servers: write an endpoint with its url for each`
          : `an address can name \${TRITON_URL} and \${LLM_BASE_URL}, not \${${setting}}`;
        throw invalidSetting(`${name}.endpoints[${i}].url`, message, source);
      });
      return { ...endpoint, url };
    });
    return [name, { ...pool, endpoints }] as const;
  });
  return Object.fromEntries(models);
}

/** Of `deploy/local/models/ocr`. */
const OCR_TENSORS = {
  inputs: { IMAGE: { from: 'image', layout: 'HWC', longest: 2_000 } },
  outputs: { BOXES: { to: 'boxes' }, TEXTS: { to: 'texts' }, SCORES: { to: 'scores' } },
};

/** Of `deploy/local/models/whisper`: the map of pools without one, and times. Another Whisper at `TRITON_URL` need not have these. */
const WHISPER_TENSORS = {
  inputs: { AUDIO: { from: 'audio', dtype: 'FP32', shape: [1, -1], sampleRate: 16_000 } },
  outputs: { TEXT: { to: 'text' }, SEGMENTS: { to: 'segments', encoding: 'json', optional: true } },
};

/** Of `deploy/local/models/speakers`: half an hour is 55 MiB, below the limit of a message. */
const SPEAKERS_TENSORS = {
  inputs: { AUDIO: { from: 'audio', sampleRate: 16_000, seconds: 1_800 } },
  outputs: { SPANS: { to: 'spans', most: 10_000 }, LABELS: { to: 'classes' }, SCORES: { to: 'scores' } },
};

function embeddedModels(settings: Settings): unknown {
  const { triton, llm } = endpointsOf(settings);
  const on = (urls: readonly string[]) => urls.map((url, i) => ({ url, device: `cpu${i}` }));
  const onTriton = (model: string, kind: string) => ({ connector: 'triton', model, kind, endpoints: on(triton) });
  return {
    whisper: { ...onTriton('whisper', 'transcribe'), options: { tensors: WHISPER_TENSORS } },
    minilm: onTriton('minilm', 'embed'),
    tts: onTriton('tts', 'synthesize'),
    moderation: onTriton('moderation', 'classify'),
    rerank: onTriton('rerank', 'rerank'),
    ocr: { ...onTriton('ocr', 'detect'), options: { tensors: OCR_TENSORS } },
    speakers: {
      ...onTriton('speakers', 'detect'),
      // The worker holds a call's recording several times over, and the model takes one at a time.
      endpoints: on(triton).map((endpoint) => ({ ...endpoint, concurrency: 2 })),
      options: { tensors: SPEAKERS_TENSORS },
    },
    assistant: {
      connector: 'openai',
      model: settings.LLM_MODEL,
      kind: 'chat',
      endpoints: on(llm),
      ...(settings.LLM_BASE_URL === undefined && { contextTokens: settings.MILLRACE_LLM_CONTEXT, modalities: [] }),
    },
  };
}
