import type { FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { mayUse } from '../../runs/caller.js';
import { cancelRun, hasEnded } from '../../runs/cancel.js';
import { followRun } from '../../runs/follow.js';
import { launch } from '../../runs/launch.js';
import { runOptionsOf } from '../../runs/options.js';
import { readEnded, readPaced } from '../../runs/paced-runs.js';
import { findRun } from '../../runs/read.js';
import { orderInput } from '../../runs/sent-input.js';
import { type Caller, callerOf, IDEMPOTENCY_KEY, requirePermission } from '../access/caller.js';
import type { Permission } from '../access/permissions.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { leaving, leavingUnanswered } from '../http/leaving.js';
import { senderOf } from '../input/held-bodies.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { MediaIntake } from '../input/media-intake.js';
import { readJsonInput } from '../input/read-input.js';
import { pipelineNotFound } from '../rest/run-routes.js';
import type { DoorGateway, DoorOrder } from './door.js';

/** @param replyOf the reply to a request of the door */
export function doorGateway(deps: GatewayDeps, replyOf: (request: FastifyRequest) => FastifyReply): DoorGateway {
  const forms = new Map<string, InputForm>();
  const permitted = (request: FastifyRequest, permission: Permission): Caller => {
    const caller = callerOf(request);
    requirePermission(caller, permission);
    return caller;
  };
  const pipelinesOf = (caller: Caller) => deps.pipelines.filter((pipeline) => mayUse(caller, pipeline));

  async function start(request: FastifyRequest, order: DoorOrder) {
    const caller = permitted(request, 'run');
    const pipeline = pipelinesOf(caller).find(({ name }) => name === order.pipeline);
    if (pipeline === undefined) throw pipelineNotFound(order.pipeline, deps, caller);
    const form = forms.get(pipeline.name) ?? inputForm(pipeline);
    forms.set(pipeline.name, form);
    const reply = replyOf(request);
    const sender = senderOf(request, leavingUnanswered(reply));
    const intake = new MediaIntake(deps.artifacts, sender, deps.limits);
    const waitMs = Math.min(Math.max(order.waitMs ?? 0, 0), deps.limits.maxWaitMs);
    const by = { pipeline, idempotencyKey: keyOf(order), ...persistenceOf(request.headers) };
    const input = orderInput(await readJsonInput(order.input, form, intake), by);
    const { document } = await launch(
      deps,
      { ...(waitMs > 0 && { retry: 0 }), ...by, caller, ...input, options: optionsOf(order, pipeline.plan) },
      {
        waitMs,
        gone: leaving(reply),
        started: ({ id }) => {
          request.notes.runId = id;
        },
      },
    );
    return document;
  }

  async function* follow(request: FastifyRequest, id: string) {
    const caller = permitted(request, 'read');
    const leave = deps.streams.take(caller.tenant);
    try {
      const { running } = await findRun(deps, id, caller);
      const gone = leaving(replyOf(request));
      const document = running ? undefined : await readEnded(deps, { id, tenant: caller.tenant }, gone);
      for await (const each of followRun(deps, { id, caller }, { gone, document })) {
        if ('event' in each) yield each.event;
      }
    } finally {
      leave();
    }
  }

  return {
    tenantOf: (request) => callerOf(request).tenant,
    pipelines: (request) => pipelinesOf(callerOf(request)),
    start,
    read: async (request, id) => {
      const signal = leaving(replyOf(request));
      return (await readPaced(deps, id, permitted(request, 'read'), { signal })).document;
    },
    follow,
    async cancel(request, id) {
      if (!(await findRun(deps, id, permitted(request, 'run'))).running) throw hasEnded();
      await cancelRun(deps, id);
    },
    media: (request, uri) => deps.artifacts.read(permitted(request, 'read').tenant, uri),
  };
}

const optionsOf = ({ outputs, priority }: DoorOrder, plan: Parameters<typeof runOptionsOf>[1]) =>
  runOptionsOf({ ...(outputs && { outputs: outputs.join(',') }), ...(priority && { priority }) }, plan);

function keyOf({ idempotencyKey }: DoorOrder): string | undefined {
  if (idempotencyKey === undefined || IDEMPOTENCY_KEY.test(idempotencyKey)) return idempotencyKey;
  const message = 'must be 1 to 255 visible ASCII characters';
  throw new MillraceError('INVALID_INPUT', `idempotencyKey: ${message}`, {
    fields: [{ field: 'idempotencyKey', message }],
  });
}
