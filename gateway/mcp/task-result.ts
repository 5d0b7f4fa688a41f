import type { Result, ServerContext } from '@modelcontextprotocol/server';
import { MillraceError } from '../../pipelines/errors.js';
import { openWaitsOf } from '../../runs/open-waits.js';
import { readPaced } from '../../runs/paced-runs.js';
import { START } from '../../stores/events/index.js';
import type { Asked } from '../waiting/follow-call.js';
import { resumeCall } from '../waiting/follow-call.js';
import { formOf, hasForm } from './ask.js';
import { askingId } from './asking-id.js';
import { answerOf } from './call-tool.js';
import { canAsk, mayDecide, type Serving } from './serving.js';
import { RELATED_TASK } from './task.js';
import { asError } from './task-handlers.js';
import type { Sending } from './tools-call.js';

/** `tasks/result` of version 2025-11-25: waits for the run’s end, and asks the client’s user meanwhile. */
export async function oldResult(
  serving: Serving,
  taskId: string,
  context: ServerContext,
  request: Sending['request'],
): Promise<Result> {
  const { deps, caller, closing } = serving;
  const related = { [RELATED_TASK]: { taskId } };
  const ask = async (run: string, wait: Asked) => {
    // An event tells of every wait that there was; those that are decided are not asked again.
    const { document } = await readPaced(deps, run, caller, { waits: 'no' });
    // Where that stays unknown: the client is told of each wait only once.
    const waiting: readonly Asked[] = await openWaitsOf(deps, caller, document).catch(() => [wait]);
    if (!waiting.some(({ nonce }) => nonce === wait.nonce)) return;
    const { method, params } = formOf(wait);
    await request(askingId({ run, nonce: wait.nonce, isContent: hasForm(wait) }), {
      method,
      params: { ...params, _meta: related },
    });
  };
  const asks = canAsk(serving, 'legacy', context) && mayDecide(serving);
  const found = readPaced(deps, taskId, caller, { signal: context.mcpReq.signal });
  await found.catch((error: unknown) => {
    // Not as the result of the task, of which there is one: its client asks again.
    if (error instanceof MillraceError && error.code === 'RATE_LIMITED') throw asError(error);
  });
  const answer = await answerOf(deps, serving, async () =>
    resumeCall(
      deps,
      { caller },
      { run: taskId, after: START, read: (await found).document },
      {
        cancelled: context.mcpReq.signal,
        closing,
        started: (run) => {
          serving.request.notes.runId = run;
        },
        onWait: asks ? ask : undefined,
      },
    ),
  );
  const { _meta, ...result } = 'result' in answer ? answer.result : {};
  return { ...result, _meta: { ..._meta, ...related } };
}
