import type { FastifyInstance } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { queueOrder } from '../../pipelines/plan/index.js';
import {
  type NamedTarget,
  replayId,
  WEBHOOK_WORKFLOW,
  type WebhookOrder,
  webhookQueue,
} from '../../pipelines/run/index.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from '../../runs/orchestrator.js';
import { readPaced } from '../../runs/paced-runs.js';
import { notEnded } from '../../runs/recorded.js';
import { webhookEventOf } from '../../runs/webhooks/event.js';
import { callerOf } from '../access/caller.js';
import { RUN_AND_READ } from '../access/permissions.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { OF_RUNS } from '../openapi/problems.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';
import { ID } from './run-docs.js';

/** Limit of the body, in bytes, which has no content. */
const MOST_BYTES = 1_024;

const text = { type: 'string' };
const REPLAY: RouteDoc = {
  tag: 'webhooks',
  operation: 'replayWebhooks',
  summary: 'Deliver the webhook event of a run again',
  path: ID,
  body: { required: false, content: json({ type: 'object' }) },
  answers: {
    202: {
      description: 'The event is being delivered again',
      content: json({
        type: 'object',
        properties: {
          event: { ...text, description: 'Its `webhook-id`' },
          type: text,
          targets: { type: 'array', items: text, description: 'Names of endpoints, and hosts of URLs' },
          links: { type: 'object', properties: { ui: text }, required: ['ui'] },
        },
        required: ['event', 'type', 'targets', 'links'],
      }),
    },
  },
  problems: [...OF_RUNS, 'NO_WEBHOOK', 'RUN_NOT_ENDED'],
};

/**
 * `POST /v1/runs/{id}/webhooks/replay`: sends the event of a run that has ended to all its targets again, with the same
 * `webhook-id` and a new schedule. Further requests join a running replay.
 */
export async function replayRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  takeJson(app, { mayBeEmpty: true });

  app.post<{ Params: { id: string } }>(
    '/v1/runs/:id/webhooks/replay',
    { bodyLimit: MOST_BYTES, config: { permission: RUN_AND_READ, doc: REPLAY } },
    async (request, reply) => {
      const { id } = request.params;
      request.notes.runId = id;
      const caller = callerOf(request);
      const { document, webhooks } = await readPaced(deps, id, caller, { signal: leaving(reply) });
      // Subscriptions have ended with the run.
      const targets = (webhooks ?? []).filter((each): each is NamedTarget => !('subscriptions' in each));
      if (targets.length === 0) throw new MillraceError('NO_WEBHOOK', 'the run was started without a webhook');
      if (document.status === 'running') throw await notEnded(deps, id, 'the run has not ended yet');
      const event = webhookEventOf(document);
      const workflowId = replayId(id);
      await start(deps, workflowId, {
        tenant: caller.tenant,
        targets,
        queue: webhookQueue(deps.taskQueue),
        of: { event },
      });
      return await reply.code(202).send({
        event: event.id,
        type: event.type,
        targets: targets.map(shown),
        links: { ui: deps.uiUrl(workflowId) },
      });
    },
  );
}

async function start({ temporal, taskQueue }: GatewayDeps, workflowId: string, order: WebhookOrder): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.start(WEBHOOK_WORKFLOW, {
        workflowId,
        taskQueue,
        args: [order],
        workflowIdConflictPolicy: 'USE_EXISTING',
        priority: queueOrder(order.tenant),
        staticSummary: 'delivers again',
      }),
    );
  } catch (error) {
    throw fromTemporal(error, workflowId);
  }
}

/** The name of an endpoint, or the host of a URL, whose path and query may contain a token. */
const shown = (target: NamedTarget): string => ('endpoint' in target ? target.endpoint : new URL(target.url).host);
