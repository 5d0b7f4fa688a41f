import type { Json } from '../../pipelines/json.js';
import { readPaced } from '../../runs/paced-runs.js';
import { RECORDED_MS } from '../../runs/recorded.js';
import { type Ask, expectOpen, findTask } from './ask.js';
import { ProtocolError, RPC } from './errors.js';
import { pushIn, pushNameIn, sentIn, taskIn } from './message.js';
import type { Task } from './protocol.js';
import * as push from './push.js';
import { asks, type TaskName, taskOf } from './task.js';
import * as tasks from './tasks.js';
import type { Result, Wire } from './wire.js';

/** A task that is answered when it has ended, or waits for its client. */
interface Turn {
  readonly turnOf: tasks.FollowedTask;
}

/** Waits for no run: what waits holds nothing of the parameters. */
type Method = (ask: Ask, params: Json) => Promise<Result | Turn | tasks.FollowedTask>;

/** What is offered, by the methods' names in 1.0. */
const METHODS: Readonly<Record<string, Method>> = {
  async SendMessage(ask, params) {
    const sent = sentIn(params);
    if (sent.taskId !== undefined) {
      const decided = await tasks.decide(ask, sent, sent.taskId);
      if (sent.immediate) return { task: await now(ask, decided.name) };
      return { turnOf: await tasks.followDecided(ask, decided) };
    }
    if (!sent.immediate) return { turnOf: await tasks.followStarted(ask, sent) };
    const { name, found } = await tasks.startTask(ask, sent);
    return { task: await taskOf(ask.deps, ask, found, name.context) };
  },
  async SendStreamingMessage(ask, params) {
    const sent = sentIn(params);
    if (sent.taskId === undefined) return await tasks.followStarted(ask, sent);
    return await tasks.followDecided(ask, await tasks.decide(ask, sent, sent.taskId));
  },
  async SubscribeToTask(ask, params) {
    const run = taskIn(params);
    const { context, record } = await findTask(ask, run);
    expectOpen(record.document);
    return await tasks.followTask(ask, { run, context }, record.document);
  },
  async GetTask(ask, params) {
    const run = taskIn(params);
    const { context, record } = await findTask(ask, run, { recordMs: RECORDED_MS });
    return await taskOf(ask.deps, ask, record.document, context);
  },
  CancelTask: async (ask, params) => await now(ask, await tasks.cancelTask(ask, taskIn(params))),
  CreateTaskPushNotificationConfig: ofPush(async (ask, params) => await push.setConfig(ask, pushIn(params))),
  GetTaskPushNotificationConfig: ofPush(async (ask, params) => await push.getConfig(ask, pushNameIn(params))),
  ListTaskPushNotificationConfigs: ofPush(async (ask, params) => ({
    configs: await push.configsOf(ask, pushNameIn(params)),
  })),
  DeleteTaskPushNotificationConfig: ofPush(async (ask, params) => {
    await push.deleteConfig(ask, pushNameIn(params));
    return { nothing: true };
  }),
};

/** A method that has the protocol's error where push notifications are off, whatever its parameters are. */
function ofPush(method: Method): Method {
  return async (ask, params) => {
    push.expectPushes(ask);
    return await method(ask, params);
  };
}

/** The method by its name in a version. Throws the protocol's error for one that is not offered. */
export function methodOf(name: string, wire: Wire): { readonly known: string; readonly run: Method } {
  const known = wire.methodOf(name);
  const run = known !== undefined && Object.hasOwn(METHODS, known) ? METHODS[known] : undefined;
  if (known === undefined || run === undefined) throw notOffered(name, known, wire);
  return { known, run };
}

function notOffered(name: string, known: string | undefined, { version }: Wire): ProtocolError {
  if (known === 'ListTasks')
    return new ProtocolError(RPC.unsupportedOperation, 'INVALID_INPUT', 'tasks are listed by GET /v1/runs');
  if (known === 'GetExtendedAgentCard')
    return new ProtocolError(RPC.unsupportedOperation, 'INVALID_INPUT', 'the card is the same for all who may see it');
  const message = `version ${version} has no method "${name.slice(0, LONGEST_NAME)}"`;
  return new ProtocolError(RPC.methodNotFound, 'INVALID_INPUT', message, 'method');
}

/** Longest name of a method that an error repeats, in UTF-16 units. */
const LONGEST_NAME = 64;

const now = async (ask: Ask, { run, context }: TaskName): Promise<Task> =>
  await taskOf(ask.deps, ask, (await readPaced(ask.deps, run, ask.caller, { waits: 'no' })).document, context);

/** The task when it has ended, or waits for its client; when this process shuts down, as it is. */
export async function atItsTurn(ask: Ask, { name, happenings, done }: tasks.FollowedTask): Promise<Task> {
  try {
    for await (const each of happenings) {
      if ('document' in each) return await taskOf(ask.deps, ask, each.document, name.context);
      if ('waits' in each) return { id: name.run, contextId: name.context, status: asks(name, each.waits) };
    }
    return await now(ask, name);
  } finally {
    done();
  }
}
