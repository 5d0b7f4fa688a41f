/**
 * The house's arrows run downward only: workers → gateway, workflows, activities, placement → pipelines.
 * `npm run verify` checks the sources, where type imports count, and the build, where only what runs is left.
 */
const no = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to: { path: to } });
const houses = '(client|pipelines|placement|workflows|activities|gateway|workers)';
const source = (folder) => `^${folder}/`;
const built = (folder) => `^dist/${folder}/`;

module.exports = {
  forbidden: [
    no(
      'pipelines-is-the-ground',
      'The domain knows nobody else.',
      source('pipelines'),
      source('(placement|workflows|activities|gateway|workers|deploy)'),
    ),
    no(
      'pipelines-is-pure',
      'The domain does no I/O and knows no Temporal.',
      source('pipelines'),
      '(^|node_modules/)(@temporalio|ioredis|openai|@grpc|fastify|pino)|^(node:)?(fs|net|http|https|child_process|worker_threads)(/|$)',
    ),
    no(
      'client-knows-types',
      'The client knows the domain, by its types alone: it runs in browsers.',
      source('client'),
      source('(placement|workflows|activities|gateway|workers|deploy)'),
    ),
    no(
      'client-runs-alone',
      'Nothing but the client’s own files is loaded with it, and nothing of Node.',
      `${built('client')}.*\\.js$`, // its types do know the domain
      `${built('(pipelines|placement|workflows|activities|gateway|workers)')}|node_modules|^(node:)?(fs|net|http|https|stream|path|crypto|timers|util|events|buffer)(/|$)`,
    ),
    no(
      'only-processes-are-clients',
      'The client is for those outside, and for the command line.',
      source('(pipelines|placement|workflows|activities|gateway)'),
      source('client'),
    ),
    no(
      'placement-on-pipelines',
      'Placement is pure and reads the domain only.',
      source('placement'),
      source('(workflows|activities|gateway|workers)'),
    ),
    no(
      'workflows-on-pipelines',
      'Workflows see the domain, and the type of an activity.',
      source('workflows'),
      '^(placement|gateway|workers|activities/(?!activity\\.ts$))',
    ),
    no(
      'workflows-run-alone',
      'Nothing but the domain enters the sandbox.',
      built('workflows'),
      built('(placement|gateway|workers|activities)'),
    ),
    no(
      'workflows-without-zod',
      'The sandbox never imports zod or Node.',
      built('workflows'),
      '(^|node_modules/)zod|^(node:)?(fs|net|http|crypto|path|os|process)(/|$)',
    ),
    no(
      'interpreter-is-pure',
      'The interpreter knows no host.',
      source('workflows/interpreter'),
      '(^|node_modules/)@temporalio',
    ),
    no(
      'activities-below',
      'Activities know no door, workflow or process.',
      source('activities'),
      source('(placement|workflows|gateway|workers)'),
    ),
    no(
      'gateway-below',
      'The gateway knows no workflow code, no process and no connector.',
      source('gateway'),
      source('(workflows|workers|placement|activities/(connectors|pools))'),
    ),
    no(
      'product-without-tests',
      'The product does not import tests or benches.',
      source(houses),
      source('(test|bench)'),
    ),
    {
      name: 'no-cycles',
      comment: 'What runs is free of import cycles.',
      severity: 'error',
      from: { path: built(houses) },
      to: { circular: true },
    },
  ],
  options: { doNotFollow: { path: 'node_modules' }, parser: 'swc' },
};
