import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { generate, shellWords } from '../../../../placement/apply/index.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';
import { base, GIB, generated, inventory, options, placement, text } from './generated.js';

describe('vLLM', () => {
  it('gets one server for each replica, on its devices', () => {
    expect(text('commands/assistant-gpu1-0.sh')).toContain(
      'exec env CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=0,1 vllm serve org/assistant-8b ' +
        '--served-model-name org/assistant-8b assistant --port 9000 ' +
        `--tensor-parallel-size 2 --gpu-memory-utilization 0.77 --max-num-seqs 64 ` +
        `--speculative-config '{"method":"ngram","num_speculative_tokens":4}' ` +
        '--enable-auto-tool-choice --tool-call-parser hermes\n',
    );
  });

  it('decodes speculatively as the placement says, unless the operator says otherwise', () => {
    const drafts = { method: 'ngram', num_speculative_tokens: 2, prompt_lookup_max: 2 };
    const llm = placedPool('assistant', [['gpu1/0']], {
      batching: 'continuous',
      memoryBytes: 30 * GIB,
      speculative: drafts,
    });
    const command = (speculative: typeof options.speculative) =>
      generate(placementOf([llm]), inventory, { ...options, speculative }).files.find(({ path }) =>
        path.startsWith('commands/assistant'),
      )?.text;
    expect(command({})).toContain(`--speculative-config '${JSON.stringify(drafts)}'`);
    expect(command(options.speculative)).toContain(`'${JSON.stringify(options.speculative.assistant)}'`);
  });

  it('gets its part of the memory, its length, and the operator’s arguments in place of generated ones', () => {
    const llm = placedPool('assistant', [], {
      batching: 'continuous',
      maxBatch: 256,
      memoryBytes: 30 * GIB,
      replicas: [{ devices: ['gpu1/0'], queue: 'q', memoryBytes: 72 * GIB, cacheTokens: 40_000 }],
    });
    const known = { ...base, assistant: { ...base.assistant, contextTokens: 131_072 } };
    const made = generate(placementOf([llm]), inventory, {
      ...options,
      base: known,
      vllmArguments: { assistant: shellWords(`--quantization fp8 --max-num-seqs=128 --chat-template 'a b'`) },
    });
    const command = made.files.find(({ path }) => path === 'commands/assistant-gpu1-0.sh')?.text ?? '';
    expect(command).toContain('--gpu-memory-utilization 0.90 --max-model-len 37777');
    expect(command).toContain(`--quantization fp8 --max-num-seqs=128 --chat-template 'a b'`);
    expect(command).not.toContain('256');
    expect(() => shellWords(`--a 'b`)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('divides prompts among steps as its profile states, unless the operator says otherwise', () => {
    const command = (kind: string, more: Partial<ReturnType<typeof placedPool>>, words = '') => {
      const llm = placedPool('other', [['gpu1/2']], { batching: 'continuous', maxBatch: 64, ...more });
      const pools = { ...base, other: { connector: 'openai', model: 'org/o', kind } };
      const vllmArguments = { other: shellWords(words) };
      const { files } = generate(placementOf([llm]), inventory, { ...options, base: pools, vllmArguments });
      const text = files.find(({ path }) => path === 'commands/other-gpu1-2.sh')?.text ?? '';
      return text.match(/--(?:max-num-batched|no-enable-chunked)\S+(?: \d+)?/g) ?? [];
    };
    expect(command('chat', { chunkTokens: 2_048 })).toEqual(['--max-num-batched-tokens 2048']);
    // vLLM does not start with fewer tokens than sequences.
    expect(command('chat', { chunkTokens: 16 })).toEqual(['--max-num-batched-tokens 64']);
    expect(command('chat', { chunkTokens: 0 })).toEqual(['--no-enable-chunked-prefill']);
    // Its profile states none, or the placement is of an earlier release.
    expect(command('chat', {})).toEqual([]);
    // An encoder takes its input as a whole.
    expect(command('embed', { chunkTokens: 2_048 })).toEqual([]);
    const replicas = [{ devices: ['gpu1/2'], queue: 'q', chunkTokens: 8_192 }];
    expect(command('chat', { chunkTokens: 2_048, replicas })).toEqual(['--max-num-batched-tokens 8192']);
    // For each of 64 sequences vLLM keeps a place for each drafted token.
    const draft = { method: 'draft_model', model: 'org/small', num_speculative_tokens: 3, parallel_drafting: true };
    const drafting = (chunkTokens: number, speculative: Record<string, string | number | boolean>) =>
      command('chat', { chunkTokens, speculative });
    expect(drafting(64, draft)).toEqual(['--max-num-batched-tokens 256']);
    expect(drafting(2_048, draft)).toEqual(['--max-num-batched-tokens 2048']);
    expect(drafting(2_048, { method: 'mtp' })).toEqual([]);
    expect(drafting(0, { method: 'mtp' })).toEqual(['--no-enable-chunked-prefill']);
    // The operator decides on it, in one of three ways, or changes what it depends on.
    for (const chunkTokens of [0, 2_048]) {
      const generated = (words: string) => command('chat', { chunkTokens }, words);
      expect(generated('--enable-chunked-prefill')).toEqual([]);
      expect(generated('--no-enable-chunked-prefill')).toEqual(['--no-enable-chunked-prefill']);
      expect(generated('--max-num-batched-tokens 4096')).toEqual(['--max-num-batched-tokens 4096']);
      expect(generated('--max_num_batched_tokens=4096')).toEqual([]);
    }
    for (const words of ['--max-num-seqs=4096', '--max_num_seqs 8 --max-num-seqs 4096'])
      expect(command('chat', { chunkTokens: 2_048 }, words)).toEqual(['--max-num-batched-tokens 4096']);
    expect(command('chat', { chunkTokens: 2_048 }, "--speculative-config '{}'")).toEqual([]);
    expect(command('chat', { chunkTokens: 2_048 }, '--quantization fp8')).toEqual(['--max-num-batched-tokens 2048']);
  });

  it('is started with a length that its cache holds beside activations and CUDA graphs', () => {
    type Replica = ReturnType<typeof placedPool>['replicas'][number];
    const longest = (contextTokens: number, replica: Partial<Replica>) => {
      const replicas = [{ devices: ['gpu1/0'], queue: 'q', memoryBytes: 72 * GIB, ...replica }];
      const llm = placedPool('assistant', [], { batching: 'continuous', memoryBytes: 30 * GIB, replicas });
      const known = { ...base, assistant: { ...base.assistant, contextTokens } };
      const { files, notes } = generate(placementOf([llm]), inventory, { ...options, base: known });
      const text = files.find(({ path }) => path === 'commands/assistant-gpu1-0.sh')?.text ?? '';
      const length = Number(/--max-model-len (\d+)/.exec(text)?.[1]);
      // The plan counts on all of the cache.
      const said = notes.filter((note) => note.includes('--max-model-len'));
      const refused = new RegExp(`^assistant: vLLM refuses calls of more than ${length} .* are ${contextTokens}: `);
      expect(said).toEqual(length < contextTokens ? [expect.stringMatching(refused)] : []);
      return length;
    };
    const cache = { cacheTokens: 40_000, tokenBytes: 2 ** 20 };
    // 4 GiB are 4,096 of these tokens.
    expect(longest(131_072, cache)).toBe(35_904);
    expect(longest(35_904, cache)).toBe(35_904);
    expect(longest(30_000, cache)).toBe(30_000);
    expect(longest(131_072, { ...cache, tokenBytes: 2 ** 20 - 1 })).toBe(35_903);
    // The share is rounded down, here by 0.4 GiB.
    expect(longest(131_072, { ...cache, memoryBytes: 72.4 * GIB })).toBe(Math.floor(40_000 - 4.4 * 1_024));
    // A model whose cache is hardly larger than that.
    expect(longest(131_072, { ...cache, cacheTokens: 5_001 })).toBe(2_500);
    expect(longest(1_000, { ...cache, cacheTokens: 5_001 })).toBe(1_000);
    // A placement that states what is reserved has planned with the rest: its bytes are those of whole tokens.
    const planned = { ...cache, memoryBytes: 72 * GIB - 2 ** 19, reservedBytes: 4 * GIB };
    expect(longest(131_072, planned)).toBe(40_000);
    expect(longest(131_072, { ...planned, memoryBytes: 72.4 * GIB })).toBe(Math.floor(40_000 - 0.4 * 1_024));
  });

  it('keeps what the prediction counts on: prefix caches, and calls that find them', () => {
    const prefixCache = { by: 'option', share: 0.4, otherwise: 0.1, from: ['tokens_cached'] } as const;
    const made = (affinity: 'prefix' | 'none', more = '') => {
      const llm = placedPool('assistant', [['gpu1/0'], ['gpu1/1']], {
        batching: 'continuous',
        prefixCache: { ...prefixCache, affinity, from: [...prefixCache.from] },
      });
      const own = { ...options, vllmArguments: { assistant: shellWords(more) } };
      const { files, notes } = generate(placementOf([llm]), inventory, own);
      const of = (name: string) => files.find(({ path }) => path === name)?.text ?? '';
      const counted = notes.filter((note) => note.includes('prefix caches'));
      return { command: of('commands/assistant-gpu1-0.sh'), pool: JSON.parse(of('models.json')).assistant, counted };
    };
    for (const opposite of ['--no-enable-prefix-caching', '--no_enable_prefix_caching']) {
      const { command, counted } = made('prefix', opposite);
      expect(command.match(/--(?:no-)?enable-prefix-caching|--no_\w+/g)).toEqual([opposite]);
      expect(counted).toEqual([expect.stringMatching(/^assistant: the prediction counts on prefix caches/)]);
    }
    expect(made('prefix').counted).toEqual([]);
    expect(made('prefix').command).toContain('--enable-prefix-caching');
    expect(made('prefix').pool.affinity).toBe('prefix');
    expect(made('none').command).toContain('--enable-prefix-caching');
    expect(made('none').pool.affinity).toBeUndefined();
    expect(text('commands/assistant-gpu1-0.sh')).not.toContain('prefix-caching');
  });

  it('serves pools of other kinds whose connector is OpenAI’s', () => {
    const serving = (kind: string) => {
      const pools = { ...base, other: { connector: 'openai', model: 'org/o', kind } };
      const made = generate(placementOf([placedPool('other', [['gpu1/2']])]), inventory, { ...options, base: pools });
      return made.files.find(({ path }) => path === 'commands/other-gpu1-2.sh')?.text;
    };
    const command = 'CUDA_VISIBLE_DEVICES=2 vllm serve org/o --served-model-name org/o other --port 9021';
    for (const kind of ['embed', 'rerank']) expect(serving(kind)).toContain(`${command} --runner pooling`);
    // The connector classifies by a chat, which the pooling runner does not have.
    expect(serving('classify')).toContain(command);
    expect(serving('classify')).not.toContain('--runner');
  });

  it('gets notes where the placement does not know what it needs beside its weights', () => {
    type Pool = ReturnType<typeof placedPool>;
    const long = { contextTokens: 32_768 };
    const notesOn = (kind: string, pool: Partial<Pool>, more: Partial<typeof long> = {}, words = '') => {
      const other = { connector: 'openai', model: 'org/o', kind, ...more };
      const placed = placementOf([placedPool('other', [['gpu1/2']], { memoryBytes: 16 * GIB, ...pool })]);
      const own = { ...options, base: { ...base, other }, vllmArguments: { other: shellWords(words) } };
      const { notes } = generate(placed, inventory, own);
      return notes.filter((note) => / GiB for |the placement does not know/.test(note));
    };
    // 16 of 24 GiB, and 2 %.
    const ofProfile = expect.stringMatching(/^other: vLLM gets 0\.69 of its device: .* --memory other=<amount> /);
    for (const kind of ['classify', 'embed', 'rerank']) expect(notesOn(kind, {})).toEqual([ofProfile]);
    expect(notesOn('classify', {}, {}, '--gpu_memory_utilization=0.9')).toEqual([]);
    const uncounted = /^other: vLLM does not start if its cache holds less than 32768 tokens .*: state fewer$/;
    expect(notesOn('classify', {}, long)).toEqual([ofProfile, expect.stringMatching(uncounted)]);
    expect(notesOn('embed', {}, long)).toEqual([ofProfile]);
    // An LLM has what its device leaves.
    const replica = { devices: ['gpu1/2'], queue: 'q', memoryBytes: 21.6 * GIB };
    const llm = { batching: 'continuous' as const, replicas: [replica] };
    expect(notesOn('chat', llm)).toEqual([]);
    expect(notesOn('chat', llm, long)).toEqual([expect.stringContaining(' profile it with --per-token other=')]);
    expect(notesOn('chat', llm, long, '--max-model-len 4096')).toEqual([]);
    const counted = [{ ...replica, cacheTokens: 9_000, tokenBytes: 2 ** 17 }];
    expect(notesOn('chat', { ...llm, replicas: counted }, long)).toEqual([]);
  });

  it('sees devices by their ids, and a part of a GPU by nothing else', () => {
    const parted = (uuids: string) =>
      readInventory(`format: 1
nodes:
  - name: n
    devices:
      - { kind: cpu, memory: 64GiB }
      - { kind: a100, memory: 80GiB }
      - { kind: a100, memory: 80GiB, share: { mode: mig, parts: 2 }${uuids} }
`);
    const pool = (device: string) =>
      placementOf([placedPool('assistant', [[device]], { batching: 'continuous', memoryBytes: 20 * GIB })]);
    const seen = (device: string, uuids: string) => {
      const { files } = generate(pool(device), parted(uuids), options);
      return /CUDA_VISIBLE_DEVICES=(\S+)/.exec(files.find(({ path }) => path.startsWith('commands/'))?.text ?? '')?.[1];
    };
    expect(seen('n/1', '')).toBe('0');
    expect(seen('n/2.1', ', uuids: [MIG-a, MIG-b]')).toBe('MIG-b');
    expect(() => seen('n/2.1', '')).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
  });

  it('refuses tools unless it is told how they are called, which the operator is told', () => {
    const notesFor = (toolParsers: Record<string, string>) =>
      generate(placement, inventory, { ...options, toolParsers }).notes.filter((note) =>
        note.includes('--tool-parser'),
      );
    expect(notesFor({})).toEqual([expect.stringMatching(/^assistant: /)]);
    expect(notesFor({ assistant: 'hermes' })).toEqual([]);
  });

  it('gets no argument that its parser does not have', () => {
    const recorded = JSON.parse(readFileSync('test/fixtures/vllm/options.recorded.json', 'utf8')) as {
      options: string[];
    };
    const whole = generate(
      placementOf([
        placedPool('assistant', [['gpu1/0', 'gpu1/1']], {
          batching: 'continuous',
          parallel: { tensor: 1, pipeline: 2 },
          chunkTokens: 2_048,
        }),
      ]),
      inventory,
      options,
    );
    const commands = [...generated.files, ...whole.files].filter(({ path }) => /commands\/assistant/.test(path));
    const used = commands.flatMap(({ text }) => text.match(/(?<= )--[a-z-]+/g) ?? []);
    expect(new Set(used).size).toBe(10);
    expect(used.filter((option) => !recorded.options.includes(option))).toEqual([]);
    // It takes the opposite of each option that is a switch.
    expect(recorded.options).toContain('--enable-chunked-prefill');
  });

  it('is refused a pool of which no profile states the memory', () => {
    const unknown = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', memoryBytes: 0 });
    expect(() => generate(placementOf([unknown]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining('--memory assistant=') }),
    );
  });

  it('is refused memory that the device does not have', () => {
    const large = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', memoryBytes: 79 * GIB });
    expect(() => generate(placementOf([large]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining('assistant needs') }),
    );
  });
});

describe('an LLM whose prompts and answers are served apart', () => {
  const llm = { batching: 'continuous', maxBatch: 32, memoryBytes: 40 * GIB } as const;
  const apart = placementOf([
    placedPool('assistant', [['gpu1/0'], ['gpu1/1']], { ...llm, apart: { part: 'decode', with: 'assistant.prefill' } }),
    placedPool('assistant.prefill', [['gpu1/2']], {
      ...llm,
      maxBatch: 4,
      memoryBytes: 20 * GIB,
      apart: { part: 'prefill', with: 'assistant' },
    }),
  ]);
  const made = (routers: Readonly<Record<string, string>>) => generate(apart, inventory, { ...options, routers });
  const textOf = (path: string) =>
    made({ assistant: 'http://gpu1:8080' }).files.find((file) => file.path === path)?.text ?? `no ${path}`;

  it('gets servers that give and take caches, under one name', () => {
    const [prompts, answers] = [textOf('commands/assistant-prefill-gpu1-2.sh'), textOf('commands/assistant-gpu1-1.sh')];
    expect(prompts).toContain('VLLM_NIXL_SIDE_CHANNEL_HOST=gpu1 VLLM_NIXL_SIDE_CHANNEL_PORT=5629 vllm serve');
    expect(prompts).toContain(`--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_producer"}'`);
    expect(answers).toContain('VLLM_NIXL_SIDE_CHANNEL_PORT=5610 ');
    expect(answers).toContain(`--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_consumer"}'`);
    for (const text of [prompts, answers])
      expect(text).toContain('serve org/assistant-8b --served-model-name org/assistant-8b assistant --port 90');
    expect(generated.files.map(({ text: each }) => each).join()).not.toContain('kv-transfer');
  });

  it('is served as the variant that was placed', () => {
    const { files } = generate(placementOf(apart.pools.map((pool) => ({ ...pool, variant: 'fp8' }))), inventory, {
      ...options,
      base: { ...base, assistant: { ...base.assistant, variants: { fp8: { model: 'org/assistant-8b-fp8' } } } },
      routers: { assistant: 'http://gpu1:8080' },
    });
    const textAt = (path: string) => files.find((file) => file.path === path)?.text ?? '';
    for (const name of ['assistant-prefill-gpu1-2', 'assistant-gpu1-1'])
      expect(textAt(`commands/${name}.sh`)).toContain(
        'serve org/assistant-8b-fp8 --served-model-name org/assistant-8b-fp8 assistant ',
      );
    expect(JSON.parse(textAt('models.json')).assistant).toMatchObject({
      model: 'org/assistant-8b-fp8',
      endpoints: [{ url: 'http://gpu1:8080/v1' }],
    });
  });

  it('is called through its router, which is started by a script', () => {
    const models = JSON.parse(textOf('models.json')) as Record<string, { endpoints: unknown }>;
    expect(models.assistant?.endpoints).toEqual([{ url: 'http://gpu1:8080/v1', device: 'gpu1/0', concurrency: 64 }]);
    expect(models['assistant.prefill']).toBeUndefined();
    expect(textOf('commands/assistant-router.sh')).toContain(
      'exec vllm-router --vllm-pd-disaggregation --kv-connector nixl --policy round_robin --prefill http://gpu1:9029 ' +
        '--decode http://gpu1:9000 --decode http://gpu1:9010 --host 0.0.0.0 --port 8080\n',
    );
    expect(made({ assistant: 'http://gpu1:8080' }).notes).toContainEqual(
      expect.stringContaining('assistant-router.sh'),
    );
    const documents = parseAllDocuments(textOf('kubernetes.yaml')).map((each) => each.toJS());
    const server = documents.find((each) => each.kind === 'Deployment' && each.metadata.name === 'assistant-gpu1-0');
    expect(server.spec.template.spec.containers[0].env).toEqual([
      { name: 'VLLM_NIXL_SIDE_CHANNEL_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'VLLM_NIXL_SIDE_CHANNEL_PORT', value: '5600' },
    ]);
    // A worker serves the devices by which the models file has endpoints.
    const worker = documents.find((each) => each.kind === 'Deployment' && each.metadata.name === 'worker-gpu1');
    expect(worker.spec.template.spec.containers[0].env).toContainEqual({ name: 'MILLRACE_DEVICES', value: 'gpu1/0' });
  });

  it('moves no port of a server beside it', () => {
    const other = placedPool('other', [['gpu1/2'], ['gpu1/2']], { memoryBytes: GIB });
    const portsOf = (...pools: typeof apart.pools) => {
      const of = { ...options, routers: { assistant: 'http://gpu1:8080' } };
      const { servers } = generate(placementOf([other, ...pools]), inventory, of);
      return servers.filter(({ name }) => !name.startsWith('assistant')).map(({ port }) => port);
    };
    expect(portsOf(...apart.pools)).toEqual(portsOf(placedPool('assistant', [['gpu1/0']], llm)));
    expect(portsOf(...apart.pools)).toEqual([9021, 9023]);
  });

  it('is refused without a router, with a command that starts one', () => {
    expect(() => made({})).toThrow(
      /--router: assistant is served apart: .*"vllm-router --vllm-pd-disaggregation .*--prefill http:\/\/gpu1:9029.*--router assistant=http:/,
    );
    expect(() => made({ assistant: 'http://gpu1:8080/v1' })).toThrow(/give a URL without a path/);
  });
});
