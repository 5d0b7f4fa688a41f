/**
 * One tenant runs every attack known to have harmed others, while another tenant sends 100 requests per second and
 * starts a run with every tenth. Rounds alternate: in a control round the same bytes go to a stub, so that the
 * processor time shared by attack and bystander is in both. Attacks without load are run once and only their answers
 * are checked.
 *
 *   npm run abuse [-- --json] [--attack NAME ...] [--rounds 3] [--requests 1000]
 *
 * It starts its own Temporal, Redis, worker and gateway on ports from 7780; the model server is a fake with the replies
 * that the attacks need. Everything runs on loopback. Exits with 1 if the bystander's 99th percentile is more than
 * twice the control's (medians of the rounds) or a request of it is refused, a process dies, the gateway's memory grows
 * by more than 256 MiB, or an answer is not an expected one.
 */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { down, up } from '../../deploy/local/stack/index.js';
import { note } from '../figures.js';
import { parseOptions } from '../options.js';
import type { Check, Load } from './attack.js';
import { CHECKS, LOADS } from './attacks/index.js';
import { bystander } from './bystander.js';
import { issueKeys } from './keys.js';
import type { Outside } from './outside.js';
import { head, lines } from './report.js';
import { gatewayMemory, type Round, restarts, round, type Sides } from './round.js';
import { MODELS, settings } from './settings.js';
import { judge, misfits, type Verdict } from './verdict.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    attack: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '1000' },
  },
});
const ROUNDS = Number(options.rounds);
const REQUESTS = Number(options.requests);
const WARM_UP = 300;
const names = [...LOADS, ...CHECKS].map(({ name }) => name);
if (!Number.isInteger(ROUNDS) || ROUNDS < 1 || ROUNDS > 25) throw new Error('--rounds is a whole number from 1 to 25');
if (!Number.isInteger(REQUESTS) || REQUESTS < 100 || REQUESTS > 10_000)
  throw new Error('--requests is a whole number from 100 to 10000');
const unknown = options.attack.find((name) => !names.includes(name));
if (unknown !== undefined) throw new Error(`--attack ${unknown}: there are ${names.join(', ')}`);
const isWanted = ({ name }: Pick<Load, 'name'>) => options.attack.length === 0 || options.attack.includes(name);

async function loaded(attack: Load, sides: Sides): Promise<Verdict> {
  const attacked: Round[] = [];
  const control: Round[] = [];
  const beforeMiB = gatewayMemory();
  const before = restarts();
  for (let i = 0; i < ROUNDS; i++) {
    attacked.push(await round(attack, 'gateway', sides));
    control.push(await round(attack, 'stub', sides));
    const lines = [attacked, control].map((rounds) => described(rounds.at(-1)));
    note(`${attack.name}, round ${i + 1}: ${lines.join('; control ')}`);
  }
  const died = [...restarts()].map(([part, count]) => [part, count - (before.get(part) ?? 0)] as const);
  return judge(attack, { attacked, control, beforeMiB, died: new Map(died.filter(([, count]) => count > 0)) });
}

const described = (one: Round | undefined): string =>
  one === undefined
    ? ''
    : `p50 ${one.served.p50.toFixed(0)} ms, p99 ${one.served.p99.toFixed(0)} ms, CPU of the gateway ${one.cpuS.gateway.toFixed(1)} s, of the worker ${one.cpuS.worker.toFixed(1)} s`;

async function checked(check: Check, sides: Sides, ids: Sides['secrets']): Promise<Verdict> {
  const before = restarts();
  const answers = await check.answers({ doors: sides.gateway, secrets: sides.secrets, ids });
  const workerRestarts = (restarts().get('worker') ?? 0) - (before.get('worker') ?? 0);
  return {
    attack: check.name,
    status: answers.join(', '),
    ...{ bystanderP99Ms: null, controlP99Ms: null, ratio: null, gatewayRssMiB: null, gatewayGrowthMiB: null },
    ...{ workerRestarts, rounds: 1, problems: misfits(check, answers) },
  };
}

async function main(): Promise<boolean> {
  await down(settings);
  mkdirSync(settings.MILLRACE_HOME, { recursive: true });
  const outside = new Worker(new URL('./outside.js', import.meta.url));
  const [{ stub, models }] = (await once(outside, 'message')) as [Outside];
  const pool = (kind: string) => ({
    connector: 'openai',
    kind,
    model: 'model',
    endpoints: [{ url: models, device: 'cpu0' }],
  });
  writeFileSync(MODELS, JSON.stringify({ assistant: pool('chat'), embedder: pool('embed') }));
  const { secrets, ids } = await issueKeys();
  note('starting Temporal, Redis, a worker and a gateway');
  await up({ settings, parts: ['temporal', 'redis', 'redis-index', 'redis-cache', 'worker', 'gateway'] });
  const gateway = { http: settings.MILLRACE_GATEWAY_PORT, grpc: settings.MILLRACE_KSERVE_GRPC_PORT };
  const sides: Sides = { gateway, stub, secrets, requests: REQUESTS };
  await bystander(gateway.http, secrets.bystander, WARM_UP);
  if (!options.json) process.stdout.write(head());
  let good = true;
  const report = (verdict: Verdict) => {
    good &&= verdict.problems.length === 0;
    for (const problem of verdict.problems) note(`${verdict.attack}: ${problem}`);
    process.stdout.write(options.json ? `${JSON.stringify(verdict)}\n` : lines(verdict));
  };
  for (const attack of LOADS.filter(isWanted)) report(await loaded(attack, sides));
  for (const check of CHECKS.filter(isWanted)) report(await checked(check, sides, ids));
  note(
    `load average ${loadavg()
      .map((load) => load.toFixed(2))
      .join(', ')}`,
  );
  await outside.terminate();
  return good;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void down(settings).finally(() => process.exit(130)));
}
let good = false;
try {
  good = await main();
} finally {
  await down(settings);
}
process.exit(good ? 0 : 1);
