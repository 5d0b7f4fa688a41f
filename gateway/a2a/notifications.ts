import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { WebhookEvent } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import type { Subscription } from '../../stores/subscriptions/index.js';
import { Agents } from './agents.js';
import type { Artifact, Task, TaskStatus } from './protocol.js';
import type { PushKept } from './push.js';
import { artifactsOf, statusOf } from './task.js';
import { V1_0, WIRES } from './versions.js';

/** The header that receivers know their token by, as the protocol's SDKs send it. */
const TOKEN_HEADER = 'x-a2a-notification-token';

/** Writes events of runs as push notifications: the task as it was then, in the version of its subscriber. */
export class Notifications {
  readonly #agents: Agents;

  constructor(pipelines: readonly Pipeline[]) {
    this.#agents = new Agents({ pipelines });
  }

  /** The same bytes for the same event and subscription. */
  async of(tenant: string, { about }: Subscription, event: WebhookEvent) {
    const kept = about as unknown as PushKept;
    const { version, token, authentication } = kept;
    const wire = WIRES.find((each) => each.version === version) ?? V1_0;
    const task = await this.#taskOf(tenant, kept, event);
    return {
      body: JSON.stringify(wire.eventOf({ task }, false)),
      headers: {
        'content-type': wire.notificationType,
        ...(token !== undefined && { [TOKEN_HEADER]: token }),
        ...(authentication?.credentials !== undefined && {
          authorization: `${authentication.scheme} ${authentication.credentials}`,
        }),
      },
    };
  }

  async #taskOf(tenant: string, { context, base }: PushKept, event: WebhookEvent): Promise<Task> {
    const run = event.data as unknown as RunDocument;
    const artifacts = run.status === 'succeeded' ? await this.#artifactsOf(tenant, run, base) : [];
    return {
      id: run.id,
      contextId: context,
      status: statusAt(event, context, run),
      ...(artifacts.length > 0 && { artifacts }),
    };
  }

  /** None of a pipeline that this process does not have: the client reads the task. */
  async #artifactsOf(tenant: string, run: RunDocument, base: string): Promise<readonly Artifact[]> {
    if (run.output === undefined) return [];
    const caller = { tenant };
    try {
      return await artifactsOf({}, { agent: this.#agents.get(run.pipeline, caller), caller, base }, run);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'PIPELINE_NOT_FOUND') return [];
      throw error;
    }
  }
}

/** With the event's time and id, which are the same in each attempt. */
function statusAt({ id, timestamp }: WebhookEvent, context: string, run: RunDocument): TaskStatus {
  const status = statusOf({ run: run.id, context }, { tenant: run.tenant }, run);
  return { ...status, timestamp, ...(status.message && { message: { ...status.message, messageId: id } }) };
}
