import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { optionsSchema } from '../../../activities/connectors/openai/options.js';
import { tensorMap } from '../../../activities/connectors/tensors/map-schema.js';
import { ROLES } from '../../../activities/connectors/tensors/roles.js';
import { tritonOptions } from '../../../activities/connectors/triton/options.js';
import type { EndpointConfig, PoolConfig } from '../../../activities/pools/models.js';
import type { ChatOptions, ChatParameters } from '../../../pipelines/stages/chat.js';
import type {
  classify,
  detect,
  EmbedOptions,
  generate,
  rerank,
  synthesize,
  transcribe,
} from '../../../pipelines/stages/index.js';

/* Every field of a pool, and every option of pools and stages for Triton and for servers of OpenAI's API, has its row. */

const page = (name: string) => readFileSync(new URL(`../../../docs/reference/${name}.md`, import.meta.url), 'utf8');
const [triton, vllm, pools] = [page('servers/triton'), page('servers/vllm'), page('pools')];

/** Names in code in the first cells of a page's tables. */
const rowsOf = (text: string): Set<string> => new Set(cells(text, /^\|([^|]*)\|/gm));
/** Names in code in all cells of a page's tables. */
const tablesOf = (text: string): Set<string> => new Set(cells(text, /^\|(.*)\|$/gm));
const cells = (text: string, of: RegExp): string[] =>
  [...text.matchAll(of)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([A-Za-z]+)[^`]*`/g)].map(([, name = '']) => name),
  );

const missing = (names: Iterable<string>, known: ReadonlySet<string>) => [...names].filter((name) => !known.has(name));
const keysOf = (schema: unknown): string[] => Object.keys((schema as z.ZodObject).shape);
/** All names of a type: the compiler refuses a list that lacks one. */
const all = <T>(names: Readonly<Record<keyof Required<T>, true>>): string[] => Object.keys(names);
// biome-ignore lint/suspicious/noExplicitAny: options of any kind
type OptionsOf<F extends (options: any) => unknown> = Omit<Parameters<F>[0], 'model'>;

describe('vllm.md has a row of', () => {
  const rows = rowsOf(vllm);

  it('every option of a pool of the connector openai', () => {
    expect(missing(keysOf(optionsSchema), rows)).toEqual([]);
  });

  it('every option of a chat stage', () => {
    const options = all<Omit<ChatOptions, 'model'>>({
      ...{ system: true, maxTokens: true, temperature: true, topP: true, topK: true, minP: true, logprobs: true },
      ...{ reasoningEffort: true, thinkingTokens: true, constrain: true, onOverflow: true, extra: true, stop: true },
      ...{ output: true, tools: true },
    });
    expect(missing(options, rows)).toEqual([]);
    const ofCalls = all<ChatParameters>({
      ...{ temperature: true, topP: true, topK: true, minP: true, logprobs: true, maxTokens: true, stop: true },
      ...{ seed: true, presencePenalty: true, frequencyPenalty: true, reasoningEffort: true, tools: true },
      ...{ toolChoice: true, parallelToolCalls: true, output: true },
    });
    expect(missing(ofCalls, tablesOf(vllm))).toEqual([]);
  });

  it('every option of its other stages', () => {
    const options = [
      ...all<Omit<EmbedOptions, 'model'>>({ as: true }),
      ...all<OptionsOf<typeof transcribe>>({ language: true, segments: true }),
      ...all<OptionsOf<typeof synthesize>>({ voice: true }),
      ...all<OptionsOf<typeof classify>>({ labels: true }),
      ...all<OptionsOf<typeof rerank>>({ top: true }),
      ...all<OptionsOf<typeof generate>>({ makes: true, count: true, options: true }),
    ];
    expect(missing(options, rows)).toEqual([]);
  });
});

describe('pools.md has a row of', () => {
  it('every field of a pool, and of its endpoints', () => {
    const pool = all<PoolConfig>({
      ...{
        connector: true,
        kind: true,
        model: true,
        endpoints: true,
        discover: true,
        rateLimit: true,
        microBatch: true,
      },
      ...{ apiKey: true, headers: true, tls: true, options: true, heal: true, load: true, variants: true },
      ...{ contextTokens: true, affinity: true, modalities: true, price: true },
    });
    const endpoint = all<EndpointConfig>({
      ...{ url: true, device: true, concurrency: true, weight: true, zone: true, draining: true, serverName: true },
    });
    expect(missing([...pool, ...endpoint], rowsOf(pools))).toEqual([]);
  });
});

describe('triton.md has a row of', () => {
  const rows = rowsOf(triton);

  it('every option of a pool', () => {
    expect(missing(keysOf(tritonOptions('embed')), rows)).toEqual([]);
  });

  it('every field of a tensor map', () => {
    const { inputs, outputs } = (tensorMap('embed') as unknown as z.ZodObject).shape as Record<string, z.ZodRecord>;
    // Blank and space are told with the decoder that they belong to.
    const known = new Set([...rows, ...cells(triton, /^\| `decode[^|]*\|[^|]*\|(.*)\|$/gm)]);
    expect(missing(keysOf(inputs?.valueType), known)).toEqual([]);
    expect(missing(keysOf(outputs?.valueType), known)).toEqual([]);
  });

  it.each(Object.entries(ROLES).filter(([kind]) => kind !== 'infer'))(
    'what tensors of %s may carry',
    (kind, { from, to }) => {
      const row = new Set(cells(triton, new RegExp(`^\\| \`${kind}\`(.*)\\|$`, 'gm')));
      expect(missing([...from, ...to], row)).toEqual([]);
    },
  );

  it('every option of its stages', () => {
    const options = [
      ...all<Omit<ChatOptions, 'model'>>({
        ...{ system: true, maxTokens: true, temperature: true, topP: true, topK: true, minP: true, logprobs: true },
        ...{ reasoningEffort: true, thinkingTokens: true, constrain: true, onOverflow: true, extra: true, stop: true },
        ...{ output: true, tools: true },
      }),
      ...all<Omit<EmbedOptions, 'model'>>({ as: true }),
      ...all<OptionsOf<typeof transcribe>>({ language: true, segments: true }),
      ...all<OptionsOf<typeof synthesize>>({ voice: true }),
      ...all<OptionsOf<typeof classify>>({ labels: true }),
      ...all<OptionsOf<typeof detect>>({ labels: true, threshold: true, masks: true }),
      ...all<OptionsOf<typeof rerank>>({ top: true }),
      ...['inputs', 'outputs', 'parameters'],
    ];
    expect(missing(options, rows)).toEqual([]);
  });
});
