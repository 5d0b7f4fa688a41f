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

/** Servers with the models of the embedded stack, by the titles that docs/reference/servers/moving.md gives their models files. */
export const STACKS: Readonly<Record<string, () => Promise<Started>>> = {
  MLServer: async () => start('mlserver', await mlserver()),
  KServe: () => start('kserve', script('kserve_stack.py', '/v1/models/moderation')),
  BentoML: () => start('bentoml', bento('bentoml_stack:Stack')),
  LitServe: () => start('litserve', script('litserve_stack.py', '/health')),
  'Ray Serve': () => start('ray', ray('ray_stack.py')),
};
