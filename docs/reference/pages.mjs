import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

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
      'docs/reference/dsl.md': 'kinds, control flow, policies, each with an example that the tests run',
      'docs/reference/plan.md': 'what a pipeline is compiled to',
    },
  },
  {
    title: 'For callers',
    pages: {
      'docs/guides/frameworks.md':
        'OpenAI Agents, Vercel AI SDK, LangGraph, pydantic-ai, Mastra, LiteLLM and others, a page each',
      'docs/guides/frameworks/openai.md': 'a program with OpenAI for Node and Python, run by the tests',
      'docs/guides/frameworks/openai-agents.md': 'a program with OpenAI Agents SDK, run by the tests',
      'docs/guides/frameworks/anthropic.md': 'a program with Anthropic for Node and Python, run by the tests',
      'docs/guides/frameworks/vercel-ai-sdk.md': 'a program with Vercel AI SDK, run by the tests',
      'docs/guides/frameworks/langgraph.md': 'a program with LangChain and LangGraph, run by the tests',
      'docs/guides/frameworks/pydantic-ai.md': 'a program with pydantic-ai, run by the tests',
      'docs/guides/frameworks/mastra.md': 'a program with Mastra, run by the tests',
      'docs/guides/frameworks/llamaindex.md': 'a program with LlamaIndex, run by the tests',
      'docs/guides/frameworks/litellm.md': 'a program with LiteLLM, run by the tests',
      'docs/guides/frameworks/mcp.md': 'a program with an MCP client, run by the tests',
      'docs/guides/frameworks/a2a.md': 'a program with an A2A client, run by the tests',
      'docs/reference/http.md': 'runs, events, media, decisions, lists, limits',
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
      'docs/guides/on-call.md': 'what to look at first, alerts, a runbook for each failure, resuming, deploys',
      'docs/guides/guarantees.md': 'each promise with its mechanism and its test, and what can still go wrong',
      'docs/guides/placement.md': 'how many devices of which kind, what goes where',
      'docs/reference/configuration.md': 'pipelines, models, connectors and settings in millrace.config.ts',
      'docs/reference/settings.md': 'every setting with its default',
      'docs/reference/artifacts.md': 'where media are, who may write there and how, limits',
      'docs/reference/sandboxes.md':
        'where agents run code of their models: QuickJS, a service of yours, what is isolated',
      'docs/reference/metrics.md': 'every metric with its labels',
      'docs/reference/servers/vllm.md':
        'vLLM, SGLang, llama.cpp: options beyond OpenAI’s API, reasoning, conversations that do not fit',
      'docs/reference/access.md':
        'keys, tokens of an identity provider, tenants, permissions, limits, a proxy in front',
      'docs/reference/servers/triton.md':
        'tensor maps: any model of Triton, KServe or MLServer as a stage; every option of its pools',
      'docs/reference/servers/capabilities.md': 'every connector and preset: kinds, streams, jobs, keys',
      'docs/reference/servers/http.md': 'any server over HTTP as data: requests, answers, streams, jobs, errors',
      'docs/reference/servers/openai-compatible.md': 'Ollama, LiteLLM, Dynamo, SGLang router, llm-d',
      'docs/reference/servers/kserve.md': 'KServe: v1, v2, InferenceGraph',
      'docs/reference/servers/seldon.md': 'Seldon Core 2: routing headers, pipelines, experiments',
      'docs/reference/servers/bentoml.md': 'BentoML: JSON, multipart, streams, tasks',
      'docs/reference/servers/torchserve.md': 'TorchServe: files and texts as bodies, tokens, gRPC',
      'docs/reference/servers/tensorflow-serving.md': 'TensorFlow Serving: signatures, versions, labels',
      'docs/reference/servers/tgi.md': 'Text Generation Inference: generate_stream and messages',
      'docs/reference/servers/ray-serve.md': 'Ray Serve and LitServe',
      'docs/reference/servers/moving.md':
        'the same pipelines on Triton, MLServer, KServe, BentoML, LitServe and Ray Serve, by the models file alone',
      'docs/reference/servers/model-cache.md': 'serve more models than fit into memory: loaded when they are called',
      'docs/reference/servers/micro-batches.md':
        'calls of different runs as one request, for servers that do not batch',
      'docs/reference/servers/openvino.md': 'OpenVINO Model Server: KServe v2, TensorFlow Serving, OpenAI’s API',
      'docs/reference/servers/nim.md': 'NVIDIA NIM: chat, embeddings with roles, ranking',
      'docs/reference/servers/azureml.md': 'Azure Machine Learning: deployments, errors inside 424, streams',
      'docs/reference/servers/sagemaker.md':
        'Amazon SageMaker: signatures, variants, streams, asynchronous inference, errors inside 424',
      'docs/reference/servers/vertex.md':
        'Vertex AI: service accounts, predict, rawPredict, streams, dedicated endpoints',
      'docs/reference/servers/pai-eas.md': 'Alibaba PAI-EAS: tokens and signatures, queue service',
      'docs/reference/temporal.md': 'TLS, certificates, API keys, profiles; what to check when it cannot be reached',
      'docs/reference/optimize.md':
        'make and measure variants of a model (int8, GGUF levels, threads), and search settings of Triton',
      'docs/reference/placement.md': 'inventory, profiles, traces, placements: the formats, and what was measured',
      'docs/reference/architecture.md': 'from the request to the answer, and what each process keeps',
      'docs/reference/limits.md': 'what Millrace does not do, or only partly',
      'docs/benchmarks.md': 'what it costs and gains, with the command for each figure',
      'SECURITY.md': 'the trust model, and how to report a vulnerability',
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
