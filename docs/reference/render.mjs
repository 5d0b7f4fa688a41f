import { z } from 'zod';

/** The reference pages that are made from the sources. Pure: text in, text out; `generate.mjs` writes, a unit test compares. */

/** A markdown table with its columns aligned, as the formatter of the gate wants it. */
export function table(head, rows) {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell).replaceAll('|', '\\|')));
  const widths = head.map((_, i) => Math.max(3, ...cells.map((row) => [...row[i]].length)));
  const line = (row) => `| ${row.map((cell, i) => cell + ' '.repeat(widths[i] - [...cell].length)).join(' | ')} |`;
  const [first, ...rest] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}
const GENERATED = '<!-- Made by docs/reference/generate.mjs. Do not edit by hand. -->';

/** `errors.md`. Throws when a code has no advice or an advice no code. */
export function renderErrors(errors, advice) {
  const without = Object.keys(errors).filter((code) => !Object.hasOwn(advice, code));
  const stray = Object.keys(advice).filter((code) => !Object.hasOwn(errors, code));
  if (without.length + stray.length > 0) {
    throw new Error(
      `codes without advice: ${without.join(', ') || 'none'}; advice without code: ${stray.join(', ') || 'none'}`,
    );
  }
  const rows = Object.entries(errors).map(([code, { status, retry, title }]) => [
    `\`${code}\``,
    status,
    retry,
    title,
    advice[code],
  ]);
  return `${GENERATED}

# Errors

Every error has a code from this table. The code is the \`code\` of an HTTP problem body, the \`type\` of Temporal’s
\`ApplicationFailure\` and the \`code\` field of log lines. Codes are stable; clients should check codes, not messages.
The source of the table is \`pipelines/errors.ts\`.

- **HTTP**: the response status when this error ends a request. \`GET /v1/runs/{id}\` returns a failed run with status 200;
  the code is then in the document’s \`error\`.
- **retry**: how a stage’s policy handles it. \`never\`: the stage fails at once. \`retry\`: the stage is retried after its
  backoff, up to its attempts; if a server is away (\`BACKEND_UNAVAILABLE\` without a call) it waits without using an attempt.
  \`heal\`: as \`retry\`, and a worker repairs the model if the server supports it.
  Outside a stage, \`retry\` means that the caller may try again.
- A stage that has used up its attempts fails with the code of its last error.

${table(['code', 'HTTP', 'retry', 'title', 'what to do'], rows)}
`;
}

/**
 * The table of servers: connectors, and presets of the connector `http`.
 * @param connectors by name
 * @param presets by name
 */
export function renderCapabilities(connectors, presets) {
  const ownKinds = (kinds) => [...kinds].filter((kind) => !kind.includes('/'));
  const rows = [
    ...[...connectors.values()].map(({ name, kinds, servesKind, capabilities, takesKey }) => [
      `\`${name}\``,
      CONNECTORS[name] ?? '',
      ownKinds(kinds).join(', ') + (servesKind ? ', kinds of `defineKind`' : ''),
      name === 'http' ? 'as described' : [...capabilities].join(', ') || 'none',
      takesKey ? 'yes' : 'no',
    ]),
    ...[...presets.values()].map(({ name, title, kinds, base, proof }) => [
      `\`http\`, preset \`${name}\``,
      `${title}; tested with ${PROOFS[proof]}`,
      Object.keys(kinds).join(', '),
      [
        ...(Object.values(kinds).some(({ response }) => response?.stream) ? ['stream'] : []),
        ...(base.job || base.objects ? ['jobs'] : []),
        ...(base.health ? ['health'] : []),
        ...(base.identity ? ['version'] : []),
      ].join(', '),
      'yes',
    ]),
  ];
  return `${GENERATED}

# Servers and what they can do

Pages: [fields of a pool](../pools.md), [Triton and KServe v2](triton.md), [vLLM and OpenAI’s API](vllm.md), [Ollama, LiteLLM, Dynamo, routers](openai-compatible.md), [any server over HTTP](http.md), [micro-batches](micro-batches.md), [KServe](kserve.md), [Seldon Core](seldon.md), [BentoML](bentoml.md),
[TorchServe](torchserve.md), [TensorFlow Serving](tensorflow-serving.md), [TGI](tgi.md), [Ray Serve and LitServe](ray-serve.md), [OpenVINO Model Server](openvino.md), [NVIDIA NIM](nim.md), [Azure ML](azureml.md), [SageMaker](sagemaker.md),
[Vertex AI](vertex.md), [PAI-EAS](pai-eas.md). The same pipelines on several of them: [moving models](moving.md).

${table(['connector', 'servers', 'stage kinds', 'beyond a plain call', 'key'], rows)}
`;
}

/** What the tests of a preset run against. */
const PROOFS = {
  server: 'the server',
  container: 'the server of its containers, behind a fixture of its front',
  fixture: 'a fixture',
};

/** What each connector speaks. */
const CONNECTORS = {
  triton: 'Triton and others of the KServe v2 gRPC protocol',
  'oip-rest': 'KServe v2 over REST: KServe, MLServer, Seldon Core, Triton’s HTTP port',
  a2a: 'remote agents by A2A 1.0 and 0.3',
  openai: 'OpenAI’s API: vLLM, SGLang, llama.cpp, Ollama, LiteLLM, Dynamo, TGI, OpenAI',
  http: 'any server over HTTP, described in the models file',
  'torchserve-grpc': 'TorchServe (gRPC); tested with the server',
};

/** `settings.md`, from the settings schema as a function of the first port. */
export function renderSettings(settingsSchema) {
  const schema = settingsSchema();
  const defaults = schema.parse({});
  const base = defaults.MILLRACE_PORT_BASE;
  const moved = settingsSchema(base + 1000).parse({});
  const rows = Object.entries(schema.shape).map(([name, field]) => {
    const value = defaults[name];
    const follows = typeof value === 'number' && moved[name] !== value;
    const fallback = value === undefined ? 'unset' : `\`${value}\`${follows ? ` (base + ${value - base})` : ''}`;
    return [`\`${name}\``, fallback, valuesOf(field), field.description ?? ''];
  });
  return `${GENERATED}

# Settings

Set each as an environment variable, or in \`settings\` of the [configuration file](configuration.md); variables take precedence. An empty or blank variable counts as unset. With an invalid value the process exits with
\`INVALID_SETTING\`, which names every invalid variable. \`millrace settings\` prints this list. The schema is
\`workers/settings.ts\`.

${table(['setting', 'default', 'value', 'meaning'], rows)}
`;
}

/** What a setting takes, in words. */
function valuesOf(field) {
  const {
    type,
    enum: choices,
    format,
    minimum,
    exclusiveMinimum,
    maximum,
  } = z.toJSONSchema(field, {
    io: 'output',
    unrepresentable: 'any',
  });
  if (choices !== undefined) return choices.map((choice) => `\`${choice}\``).join(', ');
  if (type === 'array') return 'list';
  if (type !== 'integer') return format === 'uri' ? 'URL' : 'text';
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1;
  const bounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return bounded ? `${least} to ${maximum}` : `whole number, ${least} or more`;
}

const WARNINGS_TABLE = /(<!-- warnings -->\n\n)(?:\|.*\n)+/;

/** `dsl.md` with its table of warnings replaced by this one: what to change, by code. */
export function withWarnings(page, warnings) {
  if (!WARNINGS_TABLE.test(page)) throw new Error('dsl.md has no table marked as warnings');
  const rows = Object.entries(warnings).map(([code, remedy]) => [`\`${code}\``, remedy]);
  return page.replace(WARNINGS_TABLE, (_, mark) => `${mark}${table(['warning', 'what to change'], rows)}\n`);
}

/** Longest line that the formatter of the gate leaves on one line. */
const LINE_WIDTH = 120;

/** A JSON file as the formatter of the gate writes it: a list of scalars on one line where it fits. */
export const renderJson = (value) =>
  `${JSON.stringify(value, null, 2).replace(
    /^( *)(.*)\[\n([^[\]{}]*?)\n *\](,?)$/gm,
    (whole, indent, start, items, comma) => {
      const line = `${indent}${start}[${items.replace(/\n\s*/g, ' ').trim()}]${comma}`;
      return line.length <= LINE_WIDTH ? line : whole;
    },
  )}\n`;

const PLAN_BLOCK = /(<!-- plan of voice-assistant -->\n```json\n)[\s\S]*?(\n```)/;

/** `plan.md` with its example replaced by this plan. */
export function withPlan(page, plan) {
  if (!PLAN_BLOCK.test(page)) throw new Error('plan.md has no block marked as the plan of voice-assistant');
  return page.replace(PLAN_BLOCK, (_, start, end) => `${start}${renderJson(plan).trimEnd()}${end}`);
}
