/**
 * The rooms and their arrows, downward only. `npm run verify` checks the sources, where type imports count, and the build, where
 * only what runs is left.
 */

/** What each room may import, besides itself. A path narrows it to that file or folder. */
const ROOMS = {
  pipelines: [],
  client: ['pipelines'],
  placement: ['pipelines'],
  protocols: ['pipelines'],
  telemetry: ['pipelines'],
  runtime: ['pipelines', 'telemetry'],
  temporal: ['pipelines', 'telemetry', 'runtime'],
  stores: ['pipelines', 'telemetry', 'runtime'],
  media: ['pipelines', 'telemetry', 'runtime', 'stores/artifacts'],
  activities: ['pipelines', 'telemetry', 'runtime', 'stores', 'media', 'protocols'],
  workflows: ['pipelines', 'activities/stage/activity\\.ts'],
  runs: ['pipelines', 'telemetry', 'runtime', 'temporal', 'stores', 'activities/webhooks'],
  gateway: ['pipelines', 'telemetry', 'runtime', 'stores', 'media', 'protocols', 'runs'],
  measure: ['pipelines', 'telemetry', 'runtime', 'temporal', 'stores', 'media', 'activities', 'placement'],
  workers: [
    ...['pipelines', 'telemetry', 'runtime', 'temporal', 'stores', 'media', 'protocols', 'activities', 'workflows'],
    ...['runs', 'gateway', 'placement'],
  ],
  testing: [
    ...[
      'pipelines',
      'runtime',
      'activities/stage',
      'activities/results',
      'activities/tool-search',
      'activities/cache/(index|embedder)\\.ts',
      'activities/connectors/(connector|json-schema)\\.ts',
      'placement',
      'workflows',
    ],
    'workers/hosts/in-process-host\\.ts',
  ],
  deploy: ['pipelines', 'telemetry', 'runtime', 'workers'],
  cli: [
    ...['pipelines', 'telemetry', 'runtime', 'temporal', 'stores', 'media', 'protocols', 'activities', 'workflows'],
    ...['runs', 'gateway', 'placement', 'measure', 'workers', 'deploy', 'client'],
  ],
};

const any = (names) => `(${names.join('|')})`;
const ALL = any(Object.keys(ROOMS));
const built = (rooms) => `^dist/${rooms}/`;
const no = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to });

const arrows = Object.entries(ROOMS).map(([room, below]) =>
  no(`arrows-of-${room}`, `${room}/ imports ${below.join(', ') || 'no other room'}.`, `^${room}/`, {
    path: `^${any([...Object.keys(ROOMS), 'test', 'bench'])}/`,
    pathNot: `^${any([room, ...below])}(/|$)`,
  }),
);

module.exports = {
  forbidden: [
    ...arrows,
    no('pipelines-is-pure', 'The language does no I/O and knows no Temporal.', '^pipelines/', {
      path: '(^|node_modules/)(@temporalio|ioredis|openai|@grpc|fastify|pino)|^(node:)?(fs|net|http|https|child_process|worker_threads)(/|$)',
    }),
    no('placement-is-pure', 'Placement does no I/O and knows no Temporal.', '^placement/', {
      path: '(^|node_modules/)(@temporalio|ioredis|openai|@grpc|fastify|pino)|^(node:)?(net|http|https|child_process|worker_threads)(/|$)',
    }),
    no(
      'redis-is-connected-in-stores',
      'Clients of Redis are made in stores/redis/; who uses one knows its type.',
      `^dist/(?!stores/redis/)${ALL}/.*\\.js$`,
      { path: '(^|node_modules/)ioredis' },
    ),
    no('runs-without-http', 'What starts and reads runs knows no door.', '^runs/', {
      path: '(^|node_modules/)(@?fastify|@grpc|@modelcontextprotocol)|^(node:)?(http|http2|https|net)(/|$)',
    }),
    no(
      'client-runs-alone',
      'Nothing but the client’s own files is loaded with it, and nothing of Node: it runs in browsers.',
      `${built('client')}.*\\.js$`, // its types do know the language
      {
        path: `${built(any(Object.keys(ROOMS).filter((room) => room !== 'client')))}|node_modules|^(node:)?(fs|net|http|https|stream|path|crypto|timers|util|events|buffer)(/|$)`,
      },
    ),
    no('workflows-run-alone', 'Nothing but the language enters the sandbox.', built('workflows'), {
      path: built(any(Object.keys(ROOMS).filter((room) => !['workflows', 'pipelines'].includes(room)))),
    }),
    no('workflows-without-zod', 'The sandbox never imports zod or Node.', built('workflows'), {
      path: '(^|node_modules/)zod|^(node:)?(fs|net|http|crypto|path|os|process)(/|$)',
    }),
    no(
      'entries-load-little',
      'A connector of somebody else and a unit test need no Temporal, no door and no store.',
      '^dist/(testing|activities/connectors/public)/index\\.js$',
      { reachable: true, path: 'node_modules/(@temporalio|@grpc|fastify|ioredis|openai|pino|prom-client|protobufjs)/' },
    ),
    no(
      'commands-load-little',
      'What a command does is imported when it is called: imported with all others, each command takes a second.',
      '^dist/cli/(main\\.js|commands/)',
      {
        dependencyTypesNot: ['dynamic-import'],
        path: '^dist/cli/(?!commands/|(arguments|failure|import-command|optimize-options|output|place-options|profile-options|wrap)\\.js)',
      },
    ),
    no('interpreter-is-pure', 'The interpreter knows no host.', '^workflows/interpreter/', {
      path: '(^|node_modules/)@temporalio',
    }),
    no('no-cycles', 'Files do not import each other in circles, types included.', `^(dist/)?${ALL}/`, {
      circular: true,
    }),
  ],
  options: { doNotFollow: { path: 'node_modules' }, parser: 'swc' },
};
