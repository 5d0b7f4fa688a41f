import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { table } from './render.mjs';

/**
 * The pages of the documentation by audience, from which `docs/README.md` and `llms.txt` are made. A page that does not
 * exist is left out, and one that no section names is listed last.
 */
const SECTIONS = [
  {
    title: 'Start here',
    pages: {
      'README.md': 'what it is, two commands, a pipeline of your own, who it is for',
      'docs/guides/first-pipeline.md': 'a pipeline of your own, from an empty folder to a typed client',
      'docs/guides/common-mistakes.md': 'mistakes of the first hour, and the message that each gets',
      'docs/comparison.md':
        'Temporal alone, LiveKit Agents, Pipecat, Ray Serve, Mastra: when to use which, and what to combine',
      'docs/reference/glossary.md': 'words with a specific meaning here',
    },
  },
  {
    title: 'For authors of pipelines',
    pages: {
      'docs/guides/your-models.md': 'your Triton, vLLM, Ollama or hosted models as pools; your Temporal and Redis',
      'docs/guides/voice.md':
        'spoken questions, live text, long recordings, what to put in front of a live conversation',
      'docs/guides/multimodal.md': 'media in conversations, receipts, speakers, generated media',
      'docs/guides/agents.md': 'tools, approval by a person, budgets, conversations',
      'docs/guides/approvals.md': 'where a run waits for a person, and how to find and decide the wait',
      'docs/guides/caches.md': 'exact and semantic caches, a maximum error rate, and how to measure it',
      'docs/guides/rag.md': 'an index of your passages, and answers with their sources',
      'docs/guides/python-stages.md': 'Python functions as stages of a pipeline',
      'docs/guides/temporal-teams.md':
        'existing Temporal activities and workflows as stages, pipelines from foreign workflows',
      'docs/guides/testing.md': 'pipelines in unit tests, without servers',
      'docs/reference/dsl.md': 'its pages, and the commands that check and draw a pipeline',
      'docs/reference/dsl/pipelines.md':
        'the options of a pipeline, what a reference can do, types on edges, choosing outputs',
      'docs/reference/dsl/stages.md': 'all kinds; functions, other Temporal workers, http, media, approve',
      'docs/reference/dsl/models.md': 'chat, speech, embeddings, classifiers, generation, tensors, retrieval',
      'docs/reference/dsl/agents.md': 'tools, approval, sessions, memory, handoffs, guardrails',
      'docs/reference/dsl/streams.md': 'text and audio that are read while they are made, functions that stream',
      'docs/reference/dsl/control-flow.md': 'when, each, repeat, race, pipelines in pipelines',
      'docs/reference/dsl/policies.md': 'retry, timeouts, fallback, deadline, hedge, cache, inline',
      'docs/reference/plan.md': 'what a pipeline is compiled to',
    },
  },
  {
    title: 'For callers',
    pages: {
      'docs/guides/frameworks.md': 'which page for which library, and what applies to all of them',
      'docs/guides/frameworks/openai.md': 'a program that the tests run',
      'docs/guides/frameworks/openai-agents.md': 'a program that the tests run',
      'docs/guides/frameworks/anthropic.md': 'a program that the tests run',
      'docs/guides/frameworks/vercel-ai-sdk.md': 'a program that the tests run',
      'docs/guides/frameworks/langgraph.md': 'a program that the tests run',
      'docs/guides/frameworks/pydantic-ai.md': 'a program that the tests run',
      'docs/guides/frameworks/mastra.md': 'a program that the tests run',
      'docs/guides/frameworks/llamaindex.md': 'a program that the tests run',
      'docs/guides/frameworks/litellm.md': 'a program that the tests run',
      'docs/guides/frameworks/mcp.md': 'a program that the tests run',
      'docs/guides/frameworks/a2a.md': 'a program that the tests run',
      'docs/reference/http.md': 'its pages, routes, probes, errors',
      'docs/reference/http/runs.md': 'start, wait, retry, resume, list, media',
      'docs/reference/http/events.md': 'follow a run, and hear its audio while it is made',
      'docs/reference/http/decisions.md': 'approve, reject, cancel',
      'docs/reference/http/limits.md': 'sizes, times, memory, and the error above each',
      'docs/reference/client.md': 'start, follow, decide, resume, with the types of the definition',
      'docs/reference/python-client.md': 'start, follow, decide and download from Python',
      'docs/reference/openai.md': 'pipelines as models of OpenAI’s API',
      'docs/reference/anthropic.md': 'pipelines as models of Anthropic’s API',
      'docs/reference/agent-clients.md': 'which agent clients are tested, and what works, with their versions',
      'docs/reference/agui.md': 'pipelines as agents of AG-UI',
      'docs/reference/a2a.md': 'pipelines as agents that other agents call by A2A',
      'docs/reference/mcp.md': 'pipelines as tools of the Model Context Protocol',
      'docs/reference/kserve.md': 'pipelines as models of the KServe v2 protocol, REST and gRPC',
      'docs/reference/webhooks.md': 'signed requests when a run ends',
      'docs/reference/foreign-temporal.md': 'pipelines from foreign workflows and clients of any SDK',
      'docs/reference/errors.md': 'every error code and what to do',
    },
  },
  {
    title: 'For operators',
    pages: {
      'docs/guides/deploy.md':
        'processes, settings, probes; replace a build or Millrace itself while runs are in progress',
      'docs/guides/on-call.md': 'what to look at first, alerts, a runbook for each failure, resuming',
      'docs/guides/guarantees.md': 'each promise with its mechanism and its test, and what can still go wrong',
      'docs/guides/placement.md': 'how many devices of which kind, what goes where',
      'docs/reference/architecture.md': 'from the request to the answer, and what each process keeps',
      'docs/reference/configuration.md': 'pipelines, models, connectors and settings in millrace.config.ts',
      'docs/reference/settings.md': 'every setting with its default',
      'docs/reference/access.md':
        'keys, tokens of an identity provider, tenants, permissions, limits, a proxy in front',
      'docs/reference/temporal.md': 'TLS, certificates, API keys, profiles; what to check when it cannot be reached',
      'docs/reference/artifacts.md': 'where media are stored, who may write there and how, limits',
      'docs/reference/sandboxes.md':
        'where code written by models runs: QuickJS, or a service of yours; what isolates it',
      'docs/reference/metrics.md': 'every metric with its labels',
      'docs/reference/placement.md': 'its pages, and the options of millrace place',
      'docs/reference/placement/objectives.md':
        'stages, goodput, error budgets, losses, prompts and answers apart, prefix caches, batches, quality, a day',
      'docs/reference/placement/search.md': 'the bound, the search, the simulation, and what was measured',
      'docs/reference/placement/inventory.md': 'devices, prices, links',
      'docs/reference/placement/profiles.md': 'what a call costs on a device; measuring and importing it',
      'docs/reference/placement/load.md': 'the figures of a pipeline, and traces',
      'docs/reference/placement/documents.md': 'what millrace place writes',
      'docs/reference/placement/apply.md': 'millrace apply, workers on a placement, millrace replan',
      'docs/reference/placement/auto.md': 'what of a proposal is applied without a person, and taken back',
      'docs/reference/optimize.md':
        'make and measure variants of a model (int8, GGUF levels, threads), and search settings of Triton',
      'docs/reference/limits.md': 'what Millrace does not do, or does only partly',
      'docs/benchmarks.md': 'what it costs and gains, with the command for each figure',
      'SECURITY.md': 'the trust model, and how to report a vulnerability',
    },
  },
  {
    title: 'Model servers',
    pages: {
      'docs/reference/pools.md': 'every field of the models file; discovery, affinity, how many calls an endpoint gets',
      'docs/reference/servers/capabilities.md': 'every connector and preset: kinds, streams, jobs, keys',
      'docs/reference/servers/triton.md':
        'tensor maps: any model of Triton, KServe or MLServer as a stage; every option of its pools',
      'docs/reference/servers/vllm.md': 'options beyond OpenAI’s API, reasoning, conversations that do not fit',
      'docs/reference/servers/openai-compatible.md': 'what differs from vLLM, server by server',
      'docs/reference/servers/http.md': 'any API as data: requests, answers, streams, jobs, errors',
      'docs/reference/servers/micro-batches.md':
        'calls of different runs as one request, for servers that do not batch',
      'docs/reference/servers/model-cache.md': 'more models than fit into memory, loaded when they are called',
      'docs/reference/servers/moving.md': 'the same pipelines on six serving systems, by the models file alone',
      'docs/reference/servers/kserve.md': 'v1, v2, OpenAI’s API, InferenceGraph',
      'docs/reference/servers/seldon.md': 'routing headers, pipelines, experiments',
      'docs/reference/servers/bentoml.md': 'JSON, multipart, streams, tasks',
      'docs/reference/servers/ray-serve.md': 'health, errors and formats of both',
      'docs/reference/servers/tensorflow-serving.md': 'signatures, versions, labels',
      'docs/reference/servers/torchserve.md': 'files and texts as bodies, tokens, gRPC',
      'docs/reference/servers/tgi.md': 'generate_stream and the Messages API',
      'docs/reference/servers/openvino.md': 'KServe v2, TensorFlow Serving’s API, OpenAI’s API',
      'docs/reference/servers/nim.md': 'chat, embeddings with roles, ranking',
      'docs/reference/servers/azureml.md': 'deployments, errors inside 424, streams',
      'docs/reference/servers/sagemaker.md': 'signatures, variants, streams, asynchronous inference, errors inside 424',
      'docs/reference/servers/vertex.md': 'service accounts, predict, rawPredict, streams, dedicated endpoints',
      'docs/reference/servers/pai-eas.md': 'tokens and signatures, queue service',
    },
  },
  {
    title: 'For those who extend it',
    pages: {
      'docs/guides/write-a-connector.md': 'call model servers with a protocol of your own',
      'docs/guides/write-a-door.md': 'serve a protocol of your own on the gateway’s port',
      'CONTRIBUTING.md': 'setup, checks, folders, how to add a stage kind or a connector',
      'docs/decisions/README.md': 'the design decisions, by number',
      'CHANGELOG.md': 'what changed in each version',
    },
  },
];

/** What a reader comes for, with the pages to read, in order. */
const TASKS = [
  ['write and run a pipeline', [['your first pipeline', 'guides/first-pipeline.md']]],
  ['use your own Triton, vLLM or hosted models', [['your models', 'guides/your-models.md']]],
  ['stream speech and text', [['voice', 'guides/voice.md']]],
  ['let a model call tools', [['agents', 'guides/agents.md']]],
  ['have a person approve a step', [['approvals', 'guides/approvals.md']]],
  ['cache results', [['caches', 'guides/caches.md']]],
  [
    'call a pipeline from a program',
    [
      ['frameworks', 'guides/frameworks.md'],
      ['the HTTP API', 'reference/http.md'],
    ],
  ],
  [
    'deploy, and upgrade',
    [
      ['deploy and upgrade', 'guides/deploy.md'],
      ['on call', 'guides/on-call.md'],
    ],
  ],
  ['decide which models run on which devices', [['placement', 'guides/placement.md']]],
  ['use it beside existing Temporal workers', [['for Temporal teams', 'guides/temporal-teams.md']]],
  [
    'extend it',
    [
      ['write a connector', 'guides/write-a-connector.md'],
      ['write a door', 'guides/write-a-door.md'],
    ],
  ],
  [
    'know what can go wrong',
    [
      ['guarantees', 'guides/guarantees.md'],
      ['known limits', 'reference/limits.md'],
    ],
  ],
];

const GENERATED = '<!-- Made by docs/reference/generate.mjs. Do not edit by hand. -->';

/** Every Markdown page under `docs/`, as paths from the root, but the index itself. */
function allPages(root) {
  return readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && file !== 'README.md')
    .map((file) => path.posix.join('docs', file.replaceAll(path.sep, '/')))
    .sort();
}

const titleOf = (root, page) => /^# (.+)$/m.exec(readFileSync(path.join(root, page), 'utf8'))?.[1] ?? page;
const isRecord = (page) => /^docs\/decisions\/\d/.test(page);

/** The sections with the pages that exist: `{ page, title, about }`. */
function sectionsOf(root) {
  const sections = SECTIONS.map(({ title, pages }) => ({
    title,
    pages: Object.entries(pages)
      .filter(([page]) => existsSync(path.join(root, page)))
      .map(([page, about]) => ({ page, title: titleOf(root, page), about })),
  }));
  const listed = new Set(sections.flatMap(({ pages }) => pages.map(({ page }) => page)));
  const rest = allPages(root).filter((page) => !listed.has(page) && !isRecord(page));
  if (rest.length === 0) return sections;
  return [...sections, { title: 'More', pages: rest.map((page) => ({ page, title: titleOf(root, page) })) }];
}

const about = (text) => (text === undefined ? '' : `: ${text}`);

/** `docs/README.md`: the pages by audience. */
export function renderIndex(root) {
  const sections = sectionsOf(root).map(({ title, pages }) => {
    const lines = pages.map(
      (each) => `- [${each.title}](${path.posix.relative('docs', each.page)})${about(each.about)}`,
    );
    return `## ${title}\n\n${lines.join('\n')}\n`;
  });
  return `${GENERATED}

# Documentation

Every page is Markdown; [llms.txt](../llms.txt) lists them for programs. The examples of the README, the guides and the language reference are compiled
and run by the tests.

${table(
  ['to', 'read'],
  TASKS.map(([task, pages]) => [task, pages.map(([title, page]) => `[${title}](${page})`).join(', then ')]),
)}

${sections.join('\n')}`;
}

/** `llms.txt`, in the format of llmstxt.org: every page, decision records as optional. */
export function renderLlms(root) {
  const sections = sectionsOf(root).map(({ title, pages }) => {
    const lines = pages.map((each) => `- [${each.title}](${each.page})${about(each.about)}`);
    return `## ${title}\n\n${lines.join('\n')}\n`;
  });
  const records = allPages(root).filter(isRecord);
  const optional = records.map((page) => `- [${titleOf(root, page)}](${page})`);
  return `# Millrace

> Millrace runs inference pipelines that must not lose work: typed TypeScript graphs of stages (speech recognition, LLMs, agents, retrieval, speech
> synthesis, your own code), executed durably on Temporal, with models on Triton, vLLM and other OpenAI-compatible servers, and Redis for journals and a
> semantic cache.

Links are relative to this file. Pipelines are written with the package \`millrace\`; the command is \`millrace\`.

${sections.join('\n')}
## Optional

${optional.join('\n')}
`;
}
