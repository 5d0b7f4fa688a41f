import type { Context } from '@temporalio/activity';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { askRun } from '../../../../activities/stage/ask-run.js';
import type { HeldQuestion } from '../../../../pipelines/run/index.js';

const question = { message: 'Sure?' };
const refused = (type: string) =>
  new WorkflowUpdateFailedError('refused', ApplicationFailure.create({ type, message: type }));

type Sent = { readonly args: readonly [HeldQuestion]; readonly updateId: string };

/** The context of an activity whose run answers an update with each of these in turn. */
function contextOf(answers: readonly unknown[]) {
  const sent: Sent[] = [];
  const executeUpdate = async (_: string, update: Sent) => {
    sent.push(update);
    const answer = answers[sent.length - 1];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const client = {
    withAbortSignal: (_: AbortSignal, work: () => unknown) => work(),
    workflow: { getHandle: () => ({ executeUpdate }) },
  };
  const info = { attempt: 2, workflowExecution: { workflowId: 'w', runId: 'r' } };
  return { context: { info, client } as unknown as Context, sent };
}
const ask = (context: Context, signal = new AbortController().signal) =>
  askRun(context, { stage: 'answer', path: 'answer/turn-1/book' }, question, signal);

describe('a question that a worker asks its run', () => {
  it('names the call and the attempt', async () => {
    const { context, sent } = contextOf([{ action: 'decline' }]);
    expect(await ask(context)).toEqual({ action: 'decline' });
    expect(sent[0]?.args).toEqual([{ path: 'answer/turn-1/book', attempt: 2, question }]);
  });

  it('is asked again by the same id when it is lost sight of, and by another one when there were too many', async () => {
    const { context, sent } = contextOf([new Error('UNAVAILABLE'), refused('RATE_LIMITED'), { action: 'accept' }]);
    expect(await ask(context)).toEqual({ action: 'accept' });
    const [first, second, third] = sent.map(({ updateId }) => updateId);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it.each([refused('NOT_WAITING'), new WorkflowNotFoundError('gone', 'w', 'r')])(
    'is cancelled when the run does not wait for the call any more: %s',
    async (error) => {
      expect(await ask(contextOf([error]).context)).toEqual({ action: 'cancel' });
    },
  );

  it('ends with its attempt', async () => {
    const left = new AbortController();
    const { context } = contextOf([new Error('UNAVAILABLE'), new Error('UNAVAILABLE')]);
    const asked = ask(context, left.signal);
    left.abort(new Error('the attempt is over'));
    await expect(asked).rejects.toThrow('the attempt is over');
  });

  it('is a fault where the run fails to take it', async () => {
    await expect(ask(contextOf([refused('INTERNAL')]).context)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
