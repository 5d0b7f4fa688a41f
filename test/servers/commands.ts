import { readFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../support/free-port.js';
import { type Service, type Started, start } from './install.js';

/** As the tests' Triton has it. */
const THREADS = { MILLRACE_MODEL_THREADS: '1' };

/** A script of `services/` whose argument is the port. */
export const script = (file: string, ready: string, env: NodeJS.ProcessEnv = {}): Service => ({
  command: 'python',
  args: (port, services) => [`${services}/${file}`, String(port)],
  env: () => ({ ...THREADS, ...env }),
  ready,
});

/** Without its reports, and without ending workers where the machine is short of memory for others' sake. */
export const ray = (file: string): Service =>
  script(file, '/ready', { RAY_USAGE_STATS_ENABLED: '0', RAY_memory_monitor_refresh_ms: '0' });

/** KServe's model server with its OpenAI route, whose readiness is that of its chat model. vLLM has only the types of requests there. */
export const kserveOpenAi: Service = script('kserve_openai.py', '/openai/v1/models/chat', { VLLM_NO_USAGE_STATS: '1' });

export const bento = (service: string): Service => ({
  command: 'bentoml',
  args: (port, services) => [
    ...['serve', service, '--working-dir', services],
    ...['--host', '127.0.0.1', '--port', String(port)],
  ],
  env: () => ({ ...THREADS, BENTOML_DO_NOT_TRACK: 'True' }),
  ready: '/readyz',
});

async function mlserver(): Promise<Service> {
  const [grpc, metrics] = [await freePort(), await freePort()];
  return {
    command: 'mlserver',
    args: (_, services) => ['start', `${services}/mlserver`],
    env: (port) => ({
      ...THREADS,
      MLSERVER_HOST: '127.0.0.1',
      MLSERVER_HTTP_PORT: String(port),
      MLSERVER_GRPC_PORT: String(grpc),
      MLSERVER_METRICS_PORT: String(metrics),
      // Models run in the server's process: fewer processes to start, and to be left over.
      MLSERVER_PARALLEL_WORKERS: '0',
    }),
    ready: '/v2/health/ready',
  };
}

/** SageMaker's server of containers, whose port for its management listens on this machine alone. */
export async function multiModelServer(): Promise<Service> {
  const management = await freePort();
  return {
    command: 'multi-model-server',
    args: (_, services) => [
      ...['--start', '--foreground', '--mms-config', 'mms.properties'],
      ...['--model-store', '/', '--models', `model=${services}/sagemaker`],
    ],
    files: (port, services) => ({
      'mms.properties': [
        `inference_address=http://127.0.0.1:${port}`,
        `management_address=http://127.0.0.1:${management}`,
        `default_service_handler=${services}/sagemaker/handler.py:handle`,
        'default_workers_per_model=1',
        'decode_input_request=false',
        'vmargs=-Xmx256m',
        '',
      ].join('\n'),
    }),
    ready: '/ping',
  };
}

/** Vertex AI's server of custom prediction routines. It listens on all addresses. */
export const predictionServer: Service = {
  command: 'python',
  args: () => ['-m', 'google.cloud.aiplatform.prediction.model_server'],
  env: (port) => ({
    AIP_HTTP_PORT: String(port),
    AIP_HEALTH_ROUTE: '/health',
    AIP_PREDICT_ROUTE: '/predict',
    AIP_STORAGE_URI: '',
    HANDLER_MODULE: 'google.cloud.aiplatform.prediction.handler',
    HANDLER_CLASS: 'PredictionHandler',
    PREDICTOR_MODULE: 'vertex_predictor',
    PREDICTOR_CLASS: 'Anything',
    VERTEX_CPR_WEB_CONCURRENCY: '1',
  }),
  ready: '/health',
};

/** Azure Machine Learning's server of scoring scripts. It listens on all addresses. */
export const scoringServer: Service = {
  command: 'azmlinfsrv',
  args: (port, services) => [
    ...['--entry_script', `${services}/azureml_score.py`],
    ...['--port', String(port), '--worker_count', '2'],
  ],
  env: () => ({ SCORING_TIMEOUT_MS: String(SCORING_MS) }),
  ready: '/',
};
/** A script that takes longer is ended by the server. */
const SCORING_MS = 6_000;

/** The inference key of a TorchServe that asks for tokens; it writes its keys where it runs. */
export const torchServeToken = (folder: string): string =>
  JSON.parse(readFileSync(path.join(folder, 'key_file.json'), 'utf8')).inference.key;

/** TorchServe with a model that answers and one whose answer arrives in parts, for requests with its tokens only. */
export async function torchServe(): Promise<{ readonly service: Service; readonly grpc: string }> {
  const ports = await Promise.all(Array.from({ length: 5 }, freePort));
  const [management, metrics, grpc, grpcManagement, workers] = ports;
  const models = ['model', 'chat'];
  const manifest = (name: string) => ({
    runtime: 'python',
    model: { modelName: name, modelVersion: '1.0', handler: `torchserve_${name}.py` },
    archiverVersion: '0.12.0',
  });
  const files = (port: number, services: string) => ({
    'config.properties': [
      `inference_address=http://127.0.0.1:${port}`,
      `management_address=http://127.0.0.1:${management}`,
      `metrics_address=http://127.0.0.1:${metrics}`,
      `grpc_inference_address=127.0.0.1`,
      `grpc_inference_port=${grpc}`,
      `grpc_management_address=127.0.0.1`,
      `grpc_management_port=${grpcManagement}`,
      `initial_worker_port=${workers}`,
      'default_workers_per_model=1',
      'disable_system_metrics=true',
      'vmargs=-Xmx256m',
      '',
    ].join('\n'),
    ...Object.fromEntries(
      models.flatMap((name) => [
        [`models/${name}/MAR-INF/MANIFEST.json`, JSON.stringify(manifest(name))],
        [`models/${name}/torchserve_${name}.py`, readFileSync(`${services}/torchserve_${name}.py`, 'utf8')],
      ]),
    ),
  });
  const service: Service = {
    command: 'torchserve',
    args: () => [
      ...['--start', '--foreground', '--ncs', '--ts-config', 'config.properties'],
      ...['--model-store', 'models', '--models', ...models.map((name) => `${name}=${name}`)],
    ],
    // It keeps its process id and its sockets there.
    env: (_, folder) => ({ TMPDIR: folder, TEMP: folder }),
    files,
    async ready({ url, folder }) {
      const headers = { authorization: `Bearer ${torchServeToken(folder)}` };
      const answer = await fetch(`${url}/ping`, { headers });
      return ((await answer.json()) as { status?: string }).status === 'Healthy';
    },
  };
  return { service, grpc: `127.0.0.1:${grpc}` };
}

/** NVIDIA Dynamo's frontend with its KV router in front of mocked engines. Its other planes may listen on all addresses. */
export const dynamo: Service = {
  command: 'python',
  args: (port, services) => [`${services}/dynamo_service.py`, String(port)],
  env: () => ({
    DYN_DISCOVERY_BACKEND: 'file',
    DYN_FILE_KV: 'discovery',
    DYN_REQUEST_PLANE: 'tcp',
    DYN_TCP_RPC_HOST: '127.0.0.1',
    DYN_EVENT_PLANE: 'zmq',
    HF_HUB_OFFLINE: '1',
  }),
  ready: listsModels,
};

/** SGLang's router in front of these servers, by its policy for sticky calls. */
export async function sglangRouter(...workers: readonly string[]): Promise<Service> {
  const metrics = await freePort();
  return {
    command: 'python',
    args: (port) => [
      ...['-m', 'sglang_router.launch_router', '--host', '127.0.0.1', '--port', String(port)],
      ...['--prometheus-host', '127.0.0.1', '--prometheus-port', String(metrics), '--policy', 'manual'],
      ...(workers.length > 0 ? ['--worker-urls', ...workers] : []),
    ],
    ready: workers.length > 0 ? listsModels : '/liveness',
  };
}

/** Whether a server of OpenAI's API has a model. */
async function listsModels({ url }: { readonly url: string }): Promise<boolean> {
  const answer = await fetch(`${url}/v1/models`);
  const { data } = (await answer.json()) as { data?: readonly unknown[] };
  return answer.ok && Array.isArray(data) && data.length > 0;
}

/** Servers with the models of the embedded stack, by the titles that docs/reference/servers/moving.md gives their models files. */
export const STACKS: Readonly<Record<string, () => Promise<Started>>> = {
  MLServer: async () => start('mlserver', await mlserver()),
  KServe: () => start('kserve', script('kserve_stack.py', '/v1/models/moderation')),
  BentoML: () => start('bentoml', bento('bentoml_stack:Stack')),
  LitServe: () => start('litserve', script('litserve_stack.py', '/health')),
  'Ray Serve': () => start('ray', ray('ray_stack.py')),
};
